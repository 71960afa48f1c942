"""What is in a data set and what is wrong with it, before anything is trained."""

from colabel.data.check.problems import Problem, Severity
from colabel.data.check.report import CheckReport, ImageSummary, SplitSummary, check_records
from colabel.data.check.scan import Verified, verify_images

__all__ = [
    "CheckReport",
    "ImageSummary",
    "Problem",
    "Severity",
    "SplitSummary",
    "Verified",
    "check_records",
    "verify_images",
]
