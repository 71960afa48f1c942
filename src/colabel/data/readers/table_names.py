"""What the names of columns say, in whichever way they are spelled."""

from __future__ import annotations

import re

_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a column's name, in lower case.

    Example:
        >>> words("PatientID"), words("is_valid"), words("Unnamed: 0")
        (('patient', 'id'), ('is', 'valid'), ('unnamed', '0'))
    """
    return tuple(re.findall(r"[^\W_]+", _HUMPS.sub(" ", name).casefold()))


def compact(name: str) -> str:
    """Return the words of a name without anything between them.

    Example:
        >>> compact("Patient-Id") == compact("patientID") == compact("patient id") == "patientid"
        True
    """
    return "".join(words(name))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


IMAGE = _names(
    "path imagepath imgpath filepath file files filename filenames fname imagefile imagefilename "
    "imgfile imgname imagename imageindex patchnames image images img imgs picture photo "
    "photofile picturefile imagefilepath fullpath relativepath imageurl url uri dicompath"
)
"""Columns of paths, the surest first."""

IDENTIFIER = _names("id imageid imgid uid uuid")
LABELS = _names(
    "labels label tags tag classes class categories category findinglabels findings finding "
    "targets target labelnames labelname classnames classname annotations annotation diagnoses "
    "diagnosis imagelabels imagelabel multilabels multilabel attributes objects keywords genres "
    "genre pathologies pathology labelids labelid classids classid categoryids categoryid"
)
"""Columns that list labels, those with names before those with numbers."""

PATIENT = _names(
    "patient patientid patientids patientnumber patientnr patientno patientuid subject subjectid "
    "subjectnumber participant participantid person personid animalid specimen specimenid case "
    "caseid caseno casenumber group groups groupid slide slideid wsi wsiid scan scanid study "
    "studyid studyuid studyinstanceuid exam examid accession accessionnumber visit visitid series "
    "seriesid seriesuid seriesinstanceuid sequenceid video videoid clip clipid session sessionid "
    "site siteid hospital hospitalid"
)
"""Columns of what must stay together, the coarsest and surest first."""

SITES = frozenset(_names("site siteid hospital hospitalid"))
"""Those that may have too few values to divide by."""

SPLIT = _names(
    "split splitname splits set setname subset partition phase usage datasplit datasetsplit fold "
    "foldid kfold cvfold dataset"
)
FOLDS = frozenset(_names("fold foldid kfold cvfold"))
SPLIT_FLAGS = {
    "isvalid": "val", "isval": "val", "isvalidation": "val", "valid": "val", "val": "val",
    "validation": "val", "istest": "test", "test": "test", "istrain": "train",
    "istraining": "train", "istrainingimage": "train", "train": "train",
}  # fmt: skip
"""Columns of true and false that say whether an image is in one split."""

WEIGHTS = frozenset(_names("weight weights sampleweight sampleweights instanceweight"))
CONFIDENCE = frozenset(_names("confidence confidences score scores probability certainty"))
FACTS = frozenset(
    _names(
        "sex gender patientsex patientgender age patientage ageyears index idx row rownumber "
        "rowid number no nr count order unnamed0 unnamed01 unnamed width height imagewidth "
        "imageheight w h depth channels size filesize x y z x0 y0 x1 y1 x2 y2 xmin xmax ymin ymax "
        "left top right bottom bbox box boxes bboxes boundingbox area year month day date time "
        "timestamp datetime view viewposition projection orientation laterality eye side modality "
        "device manufacturer scanner latitude longitude lat lon source comment comments remark "
        "remarks note notes annotator annotatorid rater raterid reader author license licence md5 "
        "sha1 sha256 hash followup followupnumber race ethnicity rotation isoccluded istruncated "
        "isgroupof isdepiction isinside occluded truncated url originalurl title description "
        "caption text quality"
    )
    + tuple(WEIGHTS)
    + tuple(CONFIDENCE)
)
"""Columns that say something about an image and are no labels of it."""
