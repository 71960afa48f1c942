"""fastai's ``fine_tune`` on a table of images, for benchmarks/time_to_accuracy.py.

Runs in an environment that has fastai and timm, not Colabel. The table has the columns path,
labels (joined by ``;``) and split. Prints a line of JSON: seconds, and mAP on two splits.

Batch norm keeps its statistics, as in the recipes it is compared with; all else is fastai's own
default: one pass for the new head, then discriminative learning rates, its augmentation, its head.
"""

import argparse
import json
import time

import numpy as np
import pandas
import timm
import torch
from fastai.vision.all import (
    Callback,
    CategoryMap,
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    Learner,
    MultiCategoryBlock,
    Normalize,
    Resize,
    ResizeMethod,
    TimmBody,
    apply_init,
    aug_transforms,
    create_head,
    default_split,
    nn,
)
from sklearn.metrics import average_precision_score


class KeepStatistics(Callback):
    """Keep every batch norm of the body in evaluation mode."""

    def before_batch(self) -> None:
        """Undo what fastai does when training begins."""
        for module in self.learn.model[0].modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("weights")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=1, help="after the one for the head")
    options = parser.parse_args()
    began = time.monotonic()
    torch.manual_seed(0)
    table = pandas.read_csv(options.table)
    folder = options.table.rpartition("/")[0] + "/"
    learnt = table[table.split != "test"].assign(is_valid=lambda rows: rows.split == "val")
    vocab = list(CategoryMap(sorted({one for row in table.labels for one in row.split(";")})))
    encoder = timm.create_model(
        "mobilenetv2_100", num_classes=0, global_pool="", pad_type="same", pretrained=False
    )
    state = torch.load(options.weights, weights_only=True)
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=vocab)),
        get_x=ColReader("path", pref=folder),
        get_y=ColReader("labels", label_delim=";"),
        splitter=ColSplitter(),
        item_tfms=Resize(options.size, method=ResizeMethod.Squish),
        batch_tfms=[
            *aug_transforms(),
            Normalize.from_stats(encoder.default_cfg["mean"], encoder.default_cfg["std"]),
        ],
    )
    loaders = block.dataloaders(learnt, bs=32, num_workers=0)
    head = create_head(encoder.num_features, len(vocab))
    model = nn.Sequential(TimmBody(encoder), head)
    apply_init(model[1], nn.init.kaiming_normal_)
    learner = Learner(
        loaders,
        model,
        loss_func=nn.BCEWithLogitsLoss(),
        splitter=default_split,
        cbs=KeepStatistics,
    )
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(options.epochs)
    seconds = time.monotonic() - began
    scores = {}
    for split in ("val", "test"):
        rows = table[table.split == split]
        with learner.no_bar():
            logits, _ = learner.get_preds(dl=loaders.test_dl(rows), act=nn.Identity())
        truth = np.array([[name in row.split(";") for name in vocab] for row in rows.labels])
        scores[split] = 100 * average_precision_score(truth, logits.numpy(), average="macro")
    print(json.dumps({"seconds": seconds, **scores}))


if __name__ == "__main__":
    main()
