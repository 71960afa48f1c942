"""What is in a data set and what is wrong with it, before anything is trained."""

from colabel.data.check.problems import Problem, Severity
from colabel.data.check.report import CheckReport, ImageSummary, SplitSummary, check_records
from colabel.data.check.scan import Verified, describe_changes, verify_images

__all__ = [
    "CheckReport",
    "ImageSummary",
    "Problem",
    "Severity",
    "SplitSummary",
    "Verified",
    "check_records",
    "describe_changes",
    "verify_images",
]
