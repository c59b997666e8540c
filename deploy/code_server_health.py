"""``python code_server_health.py ADDRESS``: exit with 0 if Dagster's code server there serves (gRPC health protocol).

`dagster api grpc-health-check` asks the same and takes ten times the CPU for it, at every check for ever.
"""

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

TIMEOUT_S = 4


def is_serving(address: str) -> bool:
    """Return whether Dagster's service at ``address`` says that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(0 if is_serving(sys.argv[1]) else 1)
