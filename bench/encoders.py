"""ResNet34 and CLIP's ViT-B/32 on pictures: our encoders beside plain PyTorch, one picture at a time.

Peer: the models' own preprocessing and a float32 forward pass for each picture, on PyTorch's own number of threads.
Ours: ``encode_images`` on a batch as the assets give it (16 pictures), in the number format and on the threads that
``VITRINE_PRECISION=auto`` means here. Weights are seeded: speed does not depend on their values. Goals: 2x on the
clock, and 85 % of what a large matrix product of the same number format reaches on as many threads, measured in turn
with our forward passes without preprocessing.

``--torch-threads N`` gives the peer N threads, ``--model NAME`` measures one model.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import ResNet34_Weights, resnet34

from bench.paired import compare, print_machine
from lib.arrays import RGBAImage
from lib.embedding import clip, resnet
from lib.embedding.clip import ClipEncoder
from lib.embedding.preprocessing import model_input
from lib.embedding.resnet import ResNet34Encoder
from lib.embedding.runtime import Runtime
from lib.images.background import on_white
from lib.models.registry import CLIP_LAION2B, RESNET34, ModelSpec

BATCH = 16
SIZE = (1024, 683)  # of a working copy
GEMM_SIDE = 1536
SPEED_GOAL, PEAK_GOAL = 2.0, 0.85


def pictures(count: int) -> list[RGBAImage]:
    """Return opaque pictures of smooth random colours, the size of working copies."""
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(0, 256, (8, 12, 3), dtype=np.uint8)) for _ in range(count)]
    return [np.asarray(picture.resize(SIZE, Image.Resampling.BICUBIC).convert("RGBA")) for picture in small]


def one_by_one(network: Any, transform: Callable[[Image.Image], Any], images: Sequence[RGBAImage], threads: int) -> Any:
    """Encode with the model's own preprocessing, a picture at a time; returns unit rows."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        rows = [network(transform(Image.fromarray(on_white(image)))[None]) for image in images]
    return torch.nn.functional.normalize(torch.cat(rows), dim=1).numpy()


def resnet_sides(runtime: Runtime) -> tuple[ModelSpec, Any, Any, Any, Any]:
    """Return spec, plain network, its transform, our encoder and its network."""
    torch.manual_seed(0)
    plain, ours = resnet34().eval(), resnet34()
    ours.load_state_dict(plain.state_dict())
    plain.fc, ours.fc = torch.nn.Identity(), torch.nn.Identity()
    encoder = ResNet34Encoder(RESNET34, ours, runtime)
    return RESNET34, plain, ResNet34_Weights.IMAGENET1K_V1.transforms(), encoder, ours


def clip_sides(runtime: Runtime) -> tuple[ModelSpec, Any, Any, Any, Any]:
    """Return spec, plain picture tower, its transform, our encoder and its picture tower."""
    torch.manual_seed(0)
    plain, _, transform = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
    ours = open_clip.create_model("ViT-B-32", pretrained=None)
    ours.load_state_dict(plain.state_dict())
    encoder = ClipEncoder(CLIP_LAION2B, ours, open_clip.get_tokenizer("ViT-B-32"), runtime)
    return CLIP_LAION2B, plain.visual.eval(), transform, encoder, ours.visual


SIDES = {"ResNet34": resnet_sides, "ViT-B/32": clip_sides}


def flops(network: Any) -> int:
    """Return the operations of one picture's products and convolutions, two a multiply-add."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 224, 224))
    return int(counter.get_total_flops())


def matrix_products(runtime: Runtime) -> float:
    """Return the operations a second of large products, one on each thread at once or one on all: the faster way."""
    dtype = torch.bfloat16 if runtime.bf16 else torch.float32
    a, b = torch.randn(GEMM_SIDE, GEMM_SIDE, dtype=dtype), torch.randn(GEMM_SIDE, GEMM_SIDE, dtype=dtype)

    def product(threads: int) -> None:
        torch.set_num_threads(threads)
        torch.mm(a, b)

    def side_by_side() -> None:
        with ThreadPoolExecutor(runtime.threads) as pool:
            list(pool.map(product, [1] * runtime.threads))

    def together() -> None:
        for _ in range(runtime.threads):
            product(runtime.threads)

    return max(2 * GEMM_SIDE**3 * runtime.threads / _clock(way) for way in (side_by_side, together))


def _clock(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def share_of_peak(runtime: Runtime, spec: ModelSpec, network: Any, images: list[RGBAImage], rounds: int) -> None:
    """Print which share of the matrix products' speed our forward passes reach, in turn, and both speeds."""
    assert spec.preprocessing is not None
    inputs = list(model_input(images, spec.preprocessing))
    size = resnet.FORWARD_CPU if spec.role == "resnet" else clip.FORWARD_CPU
    total = flops(network) * len(images)

    def forward() -> object:
        return runtime.run(lambda part: network(runtime.pictures(np.stack(part))), inputs, size)

    forward(), matrix_products(runtime)
    pairs = [(total / _clock(forward), matrix_products(runtime)) for _ in range(rounds)]
    share = statistics.median(ours / peak for ours, peak in pairs)
    ours, peak = (statistics.median(side) / 1e9 for side in zip(*pairs, strict=True))
    met = "met" if share >= PEAK_GOAL else "MISSED"
    print(
        f"    network alone: {share:.0%} of the peak ({ours:.1f} of {peak:.1f} GFLOP/s)   goal {PEAK_GOAL:.0%}: {met}"
    )


def main() -> None:
    """Print speed, agreement and share of the peak for both models."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer pictures and rounds")
    parser.add_argument("--torch-threads", type=int, default=torch.get_num_threads(), help="threads of the peer")
    parser.add_argument("--model", choices=list(SIDES), help="only this one")
    arguments = parser.parse_args()
    print_machine()
    runtime = Runtime.choose("cpu")
    print(f"# ours: {'bfloat16' if runtime.bf16 else 'float32'}, {runtime.threads} threads", end="; ")
    print(f"peer: float32, {arguments.torch_threads} threads")
    images = pictures(8 if arguments.quick else BATCH)
    rounds = 3 if arguments.quick else 9
    for name in [arguments.model] if arguments.model else SIDES:
        spec, plain, transform, encoder, network = SIDES[name](runtime)

        def peer(plain: Any = plain, transform: Any = transform) -> Any:
            return one_by_one(plain, transform, images, arguments.torch_threads)

        def ours(encoder: Any = encoder) -> Any:
            return encoder.encode_images(images)

        comparison = compare(name, peer, ours, items=len(images), rounds=rounds)
        comparison.report()
        met = "met" if comparison.wall_ratio >= SPEED_GOAL else "MISSED"
        print(f"    on the clock: goal {SPEED_GOAL:g}x: {met}; largest difference {np.abs(peer() - ours()).max():.1e}")
        share_of_peak(runtime, spec, network, images, rounds)


if __name__ == "__main__":
    main()
