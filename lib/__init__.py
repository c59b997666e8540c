"""How Vitrine does its work: scraping, pictures, colours, models, storage, search.

Imports neither dagster nor fastapi; the two front rooms (orchestration, query_api) call into it.
"""
