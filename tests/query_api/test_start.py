"""How the server is started."""

import os
import subprocess
import sys
from pathlib import Path

SERVE_NOTHING = """
import uvicorn
uvicorn.run = lambda *arguments, **options: None
from query_api.__main__ import main
main()
from threadpoolctl import threadpool_info
print(sorted({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}))
"""


def test_products_of_matrices_run_on_one_thread(tmp_path: Path) -> None:
    environment = os.environ | {"VITRINE_HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "2"}
    told = subprocess.run(
        [sys.executable, "-c", SERVE_NOTHING], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == "[1]"
