"""The operations of the API, by what they are about. Each method builds a request; operations.py has it sent."""
