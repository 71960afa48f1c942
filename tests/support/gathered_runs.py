"""What a process sees of a global batch: gradients, evaluation, training; started by a test."""

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from pictures import some_records
from safetensors.torch import save_file
from torch import distributed, nn
from training_runs import (
    CLASSES,
    SIZE,
    WIDTH,
    Run,
    SmallEncoder,
    kernel_objective,
    small_stage,
    square_objective,
)

from colabel.build.model import mixture_density
from colabel.build.objective import build_objective
from colabel.data.dataset import EvaluationImages
from colabel.data.loader import evaluation_loader
from colabel.models import (
    ClassAttentionPooling,
    Classifier,
    EncoderPooling,
    Features,
    FeaturesHead,
    Head,
    HeadWithEmbeddings,
    KernelMixtureHead,
    LinearHead,
    Projection,
)
from colabel.settings import (
    FeaturesSettings,
    LinearSettings,
    MixtureContrastiveTerm,
    MixtureDensitySettings,
    MixtureLikelihoodTerm,
    SimilarityDissimilarityTerm,
    SupervisedContrastiveTerm,
    TwoWayTerm,
)
from colabel.training import collect_features, collect_logits, gather_output, make_accelerator
from colabel.training.optimiser import ParameterGroup, build_optimiser
from colabel.training.step import compute_gradients

ROWS = 8
CASES = (
    "isotropic", "diagonal", "shared_diagonal", "densities", "linear", "pieces", "embeddings",
    "two_way",
)  # fmt: skip
DENSITIES = MixtureDensitySettings(hidden=(7, 6), feature_length=400)
TERMS = {
    "likelihood": MixtureLikelihoodTerm(weight=1.0),
    "contrastive": MixtureContrastiveTerm(weight=0.3, threshold=0.3),
}
EMBEDDINGS = {
    "all": SupervisedContrastiveTerm(positives="all", temperature=0.5, weight=0.1),
    "any": SupervisedContrastiveTerm(positives="any", temperature=0.5, weight=0.1),
    "per_label": SupervisedContrastiveTerm(positives="per_label", temperature=0.5, weight=0.1),
    "weighted": SimilarityDissimilarityTerm(temperature=0.5, weight=0.1),
}
TWO_WAY = {"two_way": TwoWayTerm()}


def batch(accelerator):
    """Return this process's part of one and the same batch."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (ROWS, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    targets = torch.randint(-1, 2, (ROWS, CLASSES), generator=generator, dtype=torch.int8)
    share = ROWS // accelerator.num_processes
    own = slice(share * accelerator.process_index, share * (accelerator.process_index + 1))
    return images[own], targets[own]


def model_with(head_name):
    torch.manual_seed(0)
    encoder = SmallEncoder(normalise=False, dropout=0.0)
    if head_name == "densities":
        return Classifier(encoder, mixture_density(DENSITIES, EncoderPooling(), WIDTH, CLASSES))
    if head_name == "embeddings":
        return model_with_embeddings(encoder)
    readout = (
        LinearHead(WIDTH, CLASSES)
        if head_name in ("linear", "two_way")
        else KernelMixtureHead(WIDTH, CLASSES, covariance=head_name)
    )
    return Classifier(encoder, Head(readout))


def model_with_embeddings(encoder):
    """Return a model whose embeddings of the batch do not all point the same way."""
    head = HeadWithEmbeddings(Head(FeaturesHead(WIDTH, CLASSES)), Projection(WIDTH, 5))
    model = Classifier(encoder, head)
    images, _ = batch(SimpleNamespace(num_processes=1, process_index=0))
    with torch.no_grad():
        head.projection.output.bias -= 0.9 * model(images).embeddings.mean(dim=0)
    return model


class MapEncoder(SmallEncoder):
    """An encoder with a map, and a layer that only its pooled features pass."""

    def __init__(self):
        super().__init__(normalise=False, dropout=0.0)
        self.last = nn.Linear(WIDTH, WIDTH)

    def forward(self, images):
        maps = self.convolution(images.float() / 255).relu()
        return Features(self.last(maps.mean(dim=(2, 3))), maps)


def model_with_map():
    torch.manual_seed(0)
    readout = KernelMixtureHead(WIDTH, CLASSES)
    return Classifier(MapEncoder(), Head(readout, ClassAttentionPooling(WIDTH, CLASSES)))


def objective_of(case):
    if case == "densities":
        return build_objective(TERMS, DENSITIES)
    if case == "embeddings":
        return build_objective(EMBEDDINGS, FeaturesSettings())
    if case == "two_way":
        return build_objective(TWO_WAY, LinearSettings())
    return square_objective("mean") if case in ("linear", "pieces") else kernel_objective()


def gradients(accelerator, case):
    """Return losses and gradients of one step."""
    model = model_with("linear" if case == "pieces" else case)
    optimiser = accelerator.prepare_optimizer(
        build_optimiser([ParameterGroup("model", (model,), 0.1)], weight_decay=0)
    )
    images, targets = batch(accelerator)
    if case == "embeddings":
        targets[:, :2].abs_()  # so that there are positives by every rule
    losses = compute_gradients(
        accelerator.prepare_model(model),
        objective_of(case),
        images,
        targets,
        accelerator=accelerator,
        optimiser=optimiser,
        parts=2 if case == "pieces" else 1,
        measure=True,
    )
    named = {f"loss.{case}.{name}": torch.tensor(value) for name, value in losses.raw.items()}
    named[f"loss.{case}.norm"] = torch.tensor(losses.gradient_norm)
    for name, share in losses.gradient_shares.items():
        named[f"loss.{case}.share.{name}"] = torch.tensor(share)
    for name, value in losses.diagnostics.items():
        named[f"loss.{case}.diagnostic.{name}"] = torch.tensor(value)
    for name, parameter in model.named_parameters():
        named[f"gradient.{case}.{name}"] = parameter.grad
    return named


def main():
    """Write what this process found into the folder."""
    folder = Path(sys.argv[1])
    accelerator = make_accelerator(cpu=True)
    found = {}
    images, targets = batch(accelerator)
    for head in ("isotropic", "shared_diagonal"):
        whole, all_targets = gather_output(model_with(head)(images), targets)
        found |= {
            f"gathered.{head}.features": whole.features.detach().contiguous(),
            f"gathered.{head}.logits": whole.logits.detach().contiguous(),
            f"gathered.{head}.mean": whole.mixture.mean.detach().contiguous(),
            f"gathered.{head}.variance": whole.mixture.variance.detach().contiguous(),
            f"gathered.{head}.targets": all_targets,
        }
    whole, _ = gather_output(model_with("densities")(images), targets)
    assert whole.logits is None
    found |= {
        f"gathered.densities.{name}": getattr(whole.mixture, name).detach()
        for name in ("log_weights", "mean", "variance")
    }
    whole, _ = gather_output(model_with("embeddings")(images), targets)
    found["gathered.embeddings"] = whole.embeddings.detach()
    for case in CASES:
        found |= gradients(accelerator, case)
    records = some_records(7, width=SIZE, height=SIZE)
    loader = evaluation_loader(EvaluationImages(records, size=SIZE), batch_size=4)
    collected = collect_logits(model_with("isotropic"), loader, accelerator)
    for name in ("logits", "targets", "indices", "variance"):
        found[f"collected.{name}"] = torch.from_numpy(getattr(collected, name))
    encoder = model_with("isotropic").encoder
    found["collected.features"] = collect_features(encoder, loader, accelerator)
    model = model_with("isotropic")
    run_folder = folder / f"run-{accelerator.num_processes}"
    Run(run_folder, small_stage(model=model, learning_rate=1e-3)).fit()
    for name, tensor in model.state_dict().items():
        found[f"trained.{name}"] = tensor
    model = model_with_map()
    run_folder = folder / f"map-{accelerator.num_processes}"
    Run(run_folder, small_stage(model=model, learning_rate=1e-3)).fit()
    for name, tensor in model.state_dict().items():
        found[f"map.{name}"] = tensor
    name = f"{accelerator.process_index}-of-{accelerator.num_processes}.safetensors"
    save_file({key: value.clone() for key, value in found.items()}, folder / name)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
