"""Writers of tiny data sets in the layouts of the real ones, and of files that misbehave."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

# image -> (class, difficult) of each of its objects
VOC_OBJECTS: dict[str, list[tuple[str, int]]] = {
    "000001": [("dog", 0), ("person", 1)],
    "000002": [("person", 1), ("person", 0), ("person", 1)],
    "000003": [],
    "000004": [("tvmonitor", 1), ("sofa", 0), ("sofa", 0)],
}
VOC_LISTS = {
    "train": ["000001", "000002"],
    "val": ["000003"],
    "trainval": ["000001", "000002", "000003"],
    "test": ["000004"],
}

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip

ADP_CODES = (
    "E", "E.M", "E.M.S", "E.M.C", "E.T", "E.T.S", "E.T.C", "C", "C.D", "C.D.I", "C.D.R", "C.L",
    "H", "H.E", "H.K", "H.Y", "S", "S.M", "S.C", "S.R", "A", "A.W", "A.M", "M", "N", "N.P", "N.R",
    "N.G", "N.G.M", "G", "G.O", "G.N", "T",
)  # fmt: skip


def write_image(path: Path, *, size: tuple[int, int] = (16, 12), seed: int = 0) -> Path:
    """Write a random image in the format its ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def voc_annotation(name: str, objects: Sequence[tuple[str, int]]) -> str:
    """Return an annotation file with parts inside the objects, as the real ones have."""
    things = "".join(
        f"<object><name>{escape(label)}</name><difficult>{difficult}</difficult>"
        "<part><name>head</name></part></object>"
        for label, difficult in objects
    )
    return f"<annotation><filename>{name}.jpg</filename>{things}</annotation>"


def write_voc(root: Path, year: str = "VOC2007") -> Path:
    """Write VOCdevkit below root; return the folder of the year."""
    folder = root / "VOCdevkit" / year
    for inner in ("Annotations", "ImageSets/Main"):
        (folder / inner).mkdir(parents=True)
    for seed, (name, objects) in enumerate(VOC_OBJECTS.items()):
        write_image(folder / "JPEGImages" / f"{name}.jpg", seed=seed)
        (folder / "Annotations" / f"{name}.xml").write_text(voc_annotation(name, objects))
    for split, names in VOC_LISTS.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return folder


def coco_instances(part: str) -> dict[str, list[dict[str, object]]]:
    """Return an instances file of four images, one of them without objects.

    The categories stand out of order, as nothing promises one; image 11 has a crowd and the same
    category twice.
    """
    images = [{"id": 10 + n, "file_name": f"{part}_{n}.jpg", "width": 16} for n in range(4)]
    objects = [(10, 3, 0), (10, 7, 0), (11, 1, 1), (11, 1, 0), (13, 7, 0)]
    return {
        "images": images,
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "iscrowd": crowd,
                "segmentation": {"counts": [1, 2], "size": [3, 4]} if crowd else [[1.5, 2.5]],
            }
            for number, (image, category, crowd) in enumerate(objects)
        ],
        "categories": [
            {"id": 7, "name": "cat"},
            {"id": 1, "name": "person"},
            {"id": 3, "name": "car"},
        ],
    }


def write_coco(root: Path, year: int) -> Path:
    """Write both parts of COCO below root."""
    (root / "annotations").mkdir(parents=True)
    for part in (f"train{year}", f"val{year}"):
        instances = coco_instances(part)
        for image in instances["images"]:
            write_image(root / part / str(image["file_name"]))
        (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(instances))
    return root


def chest_findings(patients: int = 24) -> dict[str, list[str]]:
    """Return the findings of the images of some patients, one to three images each."""
    generator = np.random.default_rng(0)
    findings: dict[str, list[str]] = {}
    for patient in range(1, patients + 1):
        for visit in range(1 + patient % 3):
            chosen = generator.choice(FINDINGS, size=patient % 3, replace=False)
            findings[f"{patient:08}_{visit:03}.png"] = sorted(chosen.tolist())
    return findings


def write_chestxray14(root: Path, *, layout: str, patients: int = 24) -> dict[str, list[str]]:
    """Write NIH's layout ("nih": table, two lists, numbered folders) or CheXNet's ("chexnet").

    Every fourth patient is in the test list; in CheXNet's lists the patients 1, 5, 9 and so on
    validate. Returns the findings of each image.
    """
    root.mkdir(parents=True, exist_ok=True)
    findings = chest_findings(patients)
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, name in enumerate(findings):
        patient = int(name[:8])
        split = "test" if patient % 4 == 0 else "val" if patient % 4 == 1 else "train"
        lists[split].append(name)
        folder = f"images_00{1 + number % 2}/images" if layout == "nih" else "images"
        write_image(root / folder / name, seed=number)
    if layout == "nih":
        header = "Image Index,Finding Labels,Follow-up #,Patient ID\n"
        rows = [
            f"{name},{'|'.join(found) or 'No Finding'},0,{int(name[:8])}\n"
            for name, found in findings.items()
        ]
        (root / "Data_Entry_2017_v2020.csv").write_text(header + "".join(rows))
        (root / "train_val_list.txt").write_text("\n".join(lists["train"] + lists["val"]))
        (root / "test_list.txt").write_text("\n".join(lists["test"]))
    else:
        for split, names in lists.items():
            flags = [
                f"{name} {' '.join(str(int(one in findings[name])) for one in FINDINGS)}\n"
                for name in names
            ]
            (root / f"{split}_list.txt").write_text("".join(flags))
    return findings


def write_adp(root: Path, *, patches: int = 12) -> np.ndarray:
    """Write an ADP release below root; return its labels, shape (patches, codes)."""
    folder = root / "ADP V1.0 Release"
    (folder / "splits").mkdir(parents=True)
    labels = np.random.default_rng(0).integers(0, 2, (patches, len(ADP_CODES)))
    names = [f"{1 + number // 4:03}.png_crop_{number}.png" for number in range(patches)]
    lines = [",".join(("Patch Names", *ADP_CODES))]
    for name, row in zip(names, labels, strict=True):
        write_image(folder / "img_res_1um_bicubic" / name)
        lines.append(",".join((name, *map(str, row))))
    (folder / "ADP_EncodedLabels_Release1_Flat.csv").write_text("\n".join(lines) + "\n")
    order = np.random.default_rng(1).permutation(patches)
    cuts = np.split(order, [patches // 2, patches * 3 // 4])
    for split, numbers in zip(("train", "valid", "test"), cuts, strict=True):
        np.save(folder / "splits" / f"{split}.npy", numbers)
    return labels


def write_table(path: Path, rows: Sequence[Mapping[str, object]], *, images: bool = True) -> Path:
    """Write rows as CSV, and an image for each path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(rows[0])]
    for row in rows:
        lines.append(",".join(str(cell) for cell in row.values()))
        if images:
            write_image(path.parent / str(next(iter(row.values()))))
    path.write_text("\n".join(lines) + "\n")
    return path


def png_claiming(encoded: bytes, width: int, height: int) -> bytes:
    """Return a PNG whose header, with a correct checksum, claims another size."""
    header = encoded[12:16] + struct.pack(">II", width, height) + encoded[24:29]
    return encoded[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded[33:]


def jpeg_claiming(encoded: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose frame header claims another size."""
    start = next(encoded.find(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in encoded) + 5
    return encoded[:start] + struct.pack(">HH", height, width) + encoded[start + 4 :]


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Return an RGB image in which every row and column differs."""
    across = np.linspace(40, 220, size[0])[None, :]
    down = np.linspace(0, 30, size[1])[:, None]
    channels = [across + down, across[:, ::-1] - down / 2, 60 + across / 2 + down]
    return Image.fromarray(np.stack(channels, axis=2).round().clip(0, 255).astype(np.uint8))


def messy_images(root: Path) -> dict[str, Path]:
    """Write images of every kind that must open; return them by kind."""
    root.mkdir(parents=True, exist_ok=True)
    colour = ramp()
    grey16 = np.linspace(0, 65535, 24 * 16).reshape(16, 24).astype(np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    contents = {
        "rgb.png": encode(colour, "PNG"),
        "UPPER.JPG": encode(colour, "JPEG", quality=95),
        "grey.jpg": encode(colour.convert("L"), "JPEG"),
        "cmyk.jpg": encode(colour.convert("CMYK"), "JPEG", quality=95),
        "progressive.jpeg": encode(colour, "JPEG", progressive=True),
        "turned.jpg": encode(colour, "JPEG", quality=95, exif=turned),
        "sixteen.png": encode(Image.fromarray(grey16), "PNG"),
        "sixteen.tif": encode(Image.fromarray(grey16), "TIFF"),
        "palette.png": encode(colour.quantize(8), "PNG"),
        "bilevel.png": encode(colour.convert("1"), "PNG"),
        "transparent.png": encode(Image.new("RGBA", (24, 16), (10, 20, 30, 0)), "PNG"),
        "grey_alpha.png": encode(Image.new("LA", (24, 16), (50, 128)), "PNG"),
        "frames.gif": encode(
            colour, "GIF", save_all=True, append_images=[Image.new("RGB", (24, 16))]
        ),
        "plain.bmp": encode(colour, "BMP"),
        "lossless.webp": encode(colour, "WEBP", lossless=True),
        "plain.ppm": encode(colour, "PPM"),
        "png_called.jpg": encode(colour, "PNG"),
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = root / name
        paths[name].write_bytes(content)
    return paths
