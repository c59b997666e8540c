"""The client's folder can be taken away and used elsewhere."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import lib.client

LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import taken_along
with taken_along.Vitrine() as vitrine:
    described = str(vitrine.images.describe.__doc__)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([described, sorted(loaded - sys.stdlib_module_names)]))
"""
NEEDED = {"httpx2", "pydantic"}
NEEDED_BY_THOSE = {
    "annotated_types", "anyio", "certifi", "h11", "h2", "hpack", "httpcore2", "hyperframe", "idna", "pydantic_core",
    "sniffio", "truststore", "typing_extensions", "typing_inspection",
}  # fmt: skip
OPTIONAL = {"brotli", "brotlicffi", "click", "rich", "pygments", "zstandard", "socksio"}  # httpx2's


def test_it_works_under_another_name_with_httpx2_and_pydantic_alone(tmp_path: Path) -> None:
    shutil.copytree(Path(lib.client.__file__).parent, tmp_path / "taken_along")
    command = [sys.executable, "-I", "-c", LOOK, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    described, loaded = json.loads(done.stdout)
    assert described.startswith("Describe an image")
    assert set(loaded) >= NEEDED
    loaded = [name for name in loaded if not name.startswith("_")]
    assert set(loaded) - NEEDED - NEEDED_BY_THOSE - OPTIONAL == {"taken_along"}
