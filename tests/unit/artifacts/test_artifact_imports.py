import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "use", ["", "ArtifactStore.open('file:///tmp'); ", "ArtifactStore.open('s3://bucket/a'); "]
)
def test_opening_a_store_imports_neither_torch_nor_ray_nor_boto3(use: str) -> None:
    script = (
        f"import sys; from chex_jobs.artifacts import ArtifactStore; {use}"
        "print(*({'torch', 'ray', 'boto3', 'botocore', 'numpy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
