"""Two stages with batch statistics on some processes; started by a test.

The first trains an encoder with batch normalisation and is not validated. The second trains a
classifier on the features that the frozen encoder gave once, as ProbMCL's without augmentation.
"""

import signal
import sys
from pathlib import Path

import torch
from pictures import some_records
from safetensors.torch import save_file
from timm.layers import BatchNormAct2d
from torch import distributed, nn
from training_runs import BATCH, CLASSES, SIZE, WIDTH, Run, SmallEncoder, small_stage
from training_runs import kernel_objective as kernels
from training_runs import square_objective as square

from colabel.data.dataset import EvaluationImages
from colabel.data.encoded import EncodedImages
from colabel.data.loader import evaluation_loader, training_loader
from colabel.models import Classifier, KernelMixtureHead, LinearHead
from colabel.training import collect_features, collect_logits, gather_with_gradient
from colabel.training.batch_norm import synchronise_batch_norm


class TwoStages(Run):
    """A run whose second stage learns from collected features."""

    def __init__(self, folder, encoder, *, interrupted=False, **settings):
        first = Classifier(encoder, KernelMixtureHead(WIDTH, CLASSES))
        second = Classifier(encoder, LinearHead(WIDTH, CLASSES))
        common = {"epochs": 2, "learning_rate": 1e-2}
        super().__init__(
            folder,
            small_stage(model=first, objective=kernels(), validated=False, **common),
            small_stage(
                name="classifier",
                model=second,
                objective=square(),
                frozen=(encoder,),
                encoder=encoder,
                **common,
            ),
            **settings,
        )
        self.found = {}
        self.interrupted = interrupted

    def images(self):
        return evaluation_loader(EvaluationImages(self.records, size=SIZE), batch_size=BATCH)

    def loaders(self, stage):
        if stage.encoder is None:
            return super().loaders(stage)
        if self.interrupted:
            signal.raise_signal(signal.SIGINT)  # the loop stops after the first batch
        for name, buffer in stage.encoder.named_buffers():
            self.found[f"between.{name}"] = buffer.clone()
        self.found["features"] = collect_features(stage.encoder, self.images(), self.accelerator)
        encoded = EncodedImages(self.found["features"], self.records)
        return training_loader(encoded, batch_size=self.batch, seed=5)


def trained(folder, name, *, interrupted=False, **settings):
    """Train both stages, and return what the process holds between and after them."""
    for resume in (False, True) if interrupted else (False,):
        torch.manual_seed(0)
        encoder = SmallEncoder(dropout=0.0)
        # Normalisation takes a bias away: its gradient is rounding, of which Adam makes steps.
        encoder.convolution.bias = None
        stopped = interrupted and not resume
        place = folder / f"{name}-{distributed_size()}"
        run = TwoStages(place, encoder, interrupted=stopped, **settings)
        assert run.fit(resume=resume).finished is not stopped
    found = dict(run.found)
    for key, tensor in run.stages[1].model.state_dict().items():
        found[f"final.{key}"] = tensor
    encoder.eval()
    with torch.no_grad():  # the truth: all images in one batch, on this process alone
        pixels = torch.cat([images for images, _, _ in run.images()])
        found["truth"] = encoder(pixels)
    return {f"{name}.{key}": value for key, value in found.items()}


def distributed_size():
    return distributed.get_world_size() if distributed.is_initialized() else 1


def layer_of(case):
    """Return a layer, whose parameters are not 1 and 0, and the shape of the whole batch."""
    torch.manual_seed(1)
    layer, shape = {
        "flat": (nn.BatchNorm1d(3), (6, 3)),
        "sequence": (nn.BatchNorm1d(3, affine=False), (4, 3, 5)),
        "maps": (nn.BatchNorm2d(3), (4, 3, 2, 2)),
        "mean of all batches": (nn.BatchNorm2d(3, momentum=None), (4, 3, 2, 2)),
        "one image a process": (nn.BatchNorm1d(3), (2, 3)),
        "no running statistics": (nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 2)),
        "activation": (BatchNormAct2d(3, act_layer=nn.SiLU, drop_layer=Doubled), (4, 3, 2, 2)),
        "far from zero": (nn.BatchNorm2d(3), (4, 3, 2, 2)),
    }[case]
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return layer if case == "far from zero" else layer.double(), shape


LAYERS = (
    "flat", "sequence", "maps", "mean of all batches", "one image a process",
    "no running statistics", "activation", "far from zero",
)  # fmt: skip


class Doubled(nn.Module):
    """Stands for the dropout of a layer, but is the same in every process."""

    def forward(self, maps):
        return 2 * maps


def normalised(case):
    """Return two outputs of the layer, its gradients and its state, of the whole batch."""
    layer, shape = layer_of(case)
    model = nn.Sequential(layer)
    synchronise_batch_norm(model)
    rank, processes = process_index(), distributed_size()
    share = shape[0] // processes
    answer = {}
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        whole, pull = (torch.randn(shape, generator=generator, dtype=torch.double) for _ in "xy")
        if case == "far from zero":
            whole, pull = (whole + 3000).float(), pull.float()
        own = slice(share * rank, share * (rank + 1))
        values = whole[own].clone().requires_grad_()
        output = model(values)
        (output * pull[own]).sum().backward()
        for name, tensor in (("output", output.detach()), ("gradient", values.grad)):
            (answer[f"{name}.{step}"],) = gather_with_gradient(tensor)
    for name, parameter in layer.named_parameters():
        answer[f"gradient.{name}"] = parameter.grad
        if processes > 1:
            distributed.all_reduce(parameter.grad)
    answer |= {f"state.{name}": tensor for name, tensor in model[0].state_dict().items()}
    answer["evaluated"] = model.eval()(whole.detach()).detach()
    return {f"layer.{case}.{name}": tensor for name, tensor in answer.items()}


def process_index():
    return distributed.get_rank() if distributed.is_initialized() else 0


def collected(folder):
    """Collect from a model whose statistics differ by process."""
    run = Run(folder / "unused")
    torch.manual_seed(0)
    model = Classifier(SmallEncoder(dropout=0.0), LinearHead(WIDTH, CLASSES))
    images = evaluation_loader(
        EvaluationImages(some_records(7, width=SIZE, height=SIZE), size=SIZE), batch_size=4
    )
    answer = {}
    for what in ("features", "logits"):
        with torch.no_grad():
            model.encoder.normalisation.running_mean.fill_(run.accelerator.process_index)
        if what == "features":
            answer[what] = collect_features(model.encoder, images, run.accelerator)
        else:
            logits = collect_logits(model, images, run.accelerator).logits
            answer[what] = torch.from_numpy(logits)
    return {f"collected.{name}": tensor for name, tensor in answer.items()}


def main():
    """Write what this process found into the folder."""
    folder = Path(sys.argv[1])
    found = collected(folder)
    found |= trained(folder, "local", ema_decay=0.9)
    found |= trained(folder, "plain", ema_decay=0)
    found |= trained(folder, "synchronised", ema_decay=0.9, synchronise_batch_norm=True)
    found |= trained(folder, "resumed", interrupted=True, ema_decay=0.9)
    for case in LAYERS:
        found |= normalised(case)
    name = f"{process_index()}-of-{distributed_size()}.safetensors"
    save_file({key: value.clone().contiguous() for key, value in found.items()}, folder / name)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
