"""What the checks run with: locked, hashed, within the stated bounds, under usable licences."""

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).parents[1]
LOCKS = ("checks.txt", "uv.txt")


def _locked(name):
    """Return the requirement and the hashes of every entry of a lock."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    entries = re.findall(r"^([A-Za-z0-9].*?) \\\n((?:    --hash=.*\n?)+)", text, re.MULTILINE)
    return [
        (Requirement(entry), re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes))
        for entry, hashes in entries
    ]


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _stated():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [
        Requirement(line)
        for line in [
            *project["dependencies"],
            *(line for lines in extras.values() for line in lines),
        ]
        if not line.startswith("colabel[")
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(name):
    entries = _locked(name)
    text = (ROOT / "requirements" / name).read_text("utf-8")
    assert len(entries) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes, requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place_to_download_from(name):
    assert "://" not in (ROOT / "requirements" / name).read_text("utf-8")


def test_the_lock_keeps_the_bounds_of_the_project():
    locked = {}
    for requirement, _ in _locked("checks.txt"):
        locked.setdefault(_normal(requirement.name), []).append(requirement)
    for stated in _stated():
        versions = [next(iter(entry.specifier)).version for entry in locked[_normal(stated.name)]]
        for version in versions:
            assert stated.specifier.contains(version, prereleases=True), (stated, version)


def test_no_package_that_is_installed_for_use_has_a_licence_that_forbids_it():
    environment = default_environment()
    names = {
        _normal(requirement.name)
        for requirement, _ in _locked("checks.txt")
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    seen = 0
    for package in distributions():
        if _normal(package.name) not in names:
            continue
        seen += 1
        said = [
            package.metadata.get("License-Expression") or "",
            *(line for line in package.metadata.get_all("Classifier") or [] if "License" in line),
        ]
        copyleft = [words for words in said if re.search(r"\bA?GPL|Affero", words)]
        assert not copyleft or any(" OR " in words for words in said), (package.name, said)
    assert seen > 50
