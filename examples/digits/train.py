"""Trains a small convolutional network on the digits with DistributedDataParallel.

An ordinary torchrun script. It knows Corliss only by a few environment variables, each with a default:

    torchrun --nproc-per-node=2 train.py

Every epoch is a function of the weights, the optimizer and the epoch's number: the order of the images
and the shifts applied to them are drawn from generators seeded with (seed, epoch, rank). A checkpoint is
therefore complete with weights, optimizer and epoch, and a run that was interrupted and resumed ends in
the same weights as one that was not (on one kind of CPU bit by bit, hence within any tolerance).
"""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

SEED = 7


class Digits(nn.Module):
    """Images as [batch, 64] of 0 to 1 in, logits as [batch, 10] out."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Sequential(nn.Flatten(), nn.Linear(64 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classify(self.features(images.reshape(-1, 1, 8, 8)))


def parse_arguments() -> argparse.Namespace:
    env = os.environ
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32, help="images per worker and step")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate at the start")
    parser.add_argument("--splits", type=Path, default=Path(env.get("CORLISS_INPUT_SPLITS", "out/splits")))
    parser.add_argument("--model", type=Path, default=Path(env.get("CORLISS_OUTPUT_MODEL", "out/model")))
    parser.add_argument("--checkpoints", type=Path, default=Path(env.get("CORLISS_CHECKPOINT_DIR", "out/checkpoints")))
    parser.add_argument("--checkpoint-every-s", type=float, default=float(env.get("CORLISS_CHECKPOINT_EVERY_S", "2")))
    parser.add_argument("--resume", type=Path, default=env.get("CORLISS_RESUME_FROM") or None)
    return parser.parse_args()


def load(path: Path) -> TensorDataset:
    with np.load(path) as arrays:
        return TensorDataset(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))


def shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Moves each image by up to one pixel, which keeps a network this size from learning by heart."""
    squares = nn.functional.pad(images.reshape(-1, 8, 8), (1, 1, 1, 1))
    offsets = torch.randint(0, 3, (len(images), 2), generator=generator)
    moved = [squares[i, y : y + 8, x : x + 8] for i, (y, x) in enumerate(offsets.tolist())]
    return torch.stack(moved).reshape(-1, 64)


def save_checkpoint(folder: Path, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Writes beside the final name and renames: the rename is what makes a checkpoint complete."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"epoch-{epoch:04}.pt"
    unfinished = final.with_suffix(".pt.tmp")
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    with open(unfinished, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(final)


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, epoch: int) -> float:
    """One pass over this worker's half of the images; the mean loss over all workers."""
    generator = torch.Generator().manual_seed(SEED + 1_000_003 * epoch + dist.get_rank())
    total = torch.zeros(2, dtype=torch.float64)
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(shift(images, generator)), labels)
        loss.backward()
        optimizer.step()
        total += torch.tensor([loss.item() * len(labels), len(labels)], dtype=torch.float64)
    dist.all_reduce(total)
    return (total[0] / total[1]).item()


@torch.no_grad()
def accuracy(model: nn.Module, data: TensorDataset) -> float:
    images, labels = data.tensors
    return (model(images).argmax(dim=1) == labels).double().mean().item()


def export(model: nn.Module, folder: Path) -> None:
    """Writes model.onnx for any number of images, and checks that it was not fixed to the traced number."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"image": {0: "batch"}, "logits": {0: "batch"}}
    # The exporter by tracing, which is deprecated but writes plain operators of set 17 that every engine
    # reads, and needs no package beside onnx.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (torch.zeros(2, 64),), str(folder / "model.onnx"), dynamo=False, opset_version=17,
            input_names=["image"], output_names=["logits"], dynamic_axes=names,
        )
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        sample = torch.rand(count, 64, generator=torch.Generator().manual_seed(count))
        (ours,) = session.run(["logits"], {"image": sample.numpy()})
        np.testing.assert_allclose(ours, model(sample).detach().numpy(), rtol=1e-3, atol=1e-4)


def start_tracking(arguments: argparse.Namespace):
    """The mlflow module with the step's run open, or None where no tracking server is named."""
    if dist.get_rank() != 0 or "MLFLOW_TRACKING_URI" not in os.environ:
        return None
    import mlflow

    mlflow.start_run()
    mlflow.log_params({
        "epochs": arguments.epochs, "batch": arguments.batch, "rate": arguments.rate,
        "workers": dist.get_world_size(), "seed": SEED,
    })
    return mlflow


def main() -> None:
    arguments = parse_arguments()
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()

    train, test = load(arguments.splits / "train.npz"), load(arguments.splits / "test.npz")
    sampler = DistributedSampler(train, shuffle=True, seed=SEED, drop_last=True)
    loader = DataLoader(train, batch_size=arguments.batch, sampler=sampler, drop_last=True)
    plain = Digits()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=arguments.rate)
    first = 0
    if arguments.resume:
        state = torch.load(arguments.resume, weights_only=True)
        plain.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
        print(f"rank {rank}: resumes after epoch {state['epoch']} from {arguments.resume.name}", flush=True)
    model = DistributedDataParallel(plain)
    tracking = start_tracking(arguments)

    saved = time.monotonic()
    for epoch in range(first, arguments.epochs):
        sampler.set_epoch(epoch)
        # Computed from the epoch alone, so there is no scheduler whose state would have to be saved.
        optimizer.param_groups[0]["lr"] = arguments.rate * (1 - epoch / arguments.epochs)
        loss = train_epoch(model, loader, optimizer, epoch)
        if rank == 0:
            measured = {"loss": loss, "validation_accuracy": accuracy(plain, test)}
            print(f"epoch {epoch}: loss {loss:.4f}, accuracy {measured['validation_accuracy']:.4f}", flush=True)
            if tracking:
                tracking.log_metrics(measured, step=epoch)
            if time.monotonic() - saved >= arguments.checkpoint_every_s:
                save_checkpoint(arguments.checkpoints, epoch, plain, optimizer)
                saved = time.monotonic()

    if rank == 0:
        export(plain.eval(), arguments.model)
        if tracking:
            tracking.end_run()
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
