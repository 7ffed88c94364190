"""Profile packages: what is read, which version is meant, and what is refused.

Spec: FHIR Package Specification; FHIR R4 references.html#canonical, valueset.html#compositions.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.fhir import package_files
from app.fhir.packages import CORE, Packages, load

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
R4 = PROFILES.parent.parent / "shared" / "ihe" / "r4"
FHIR = "http://hl7.org/fhir"
ACME = "http://acme.example/fhir"

Folder = Callable[..., Path]


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """A folder of packages with FHIR R4 in it and nothing else."""
    core = next(PROFILES.glob(f"{CORE}-*"))
    (tmp_path / core.name).symlink_to(core)
    return tmp_path


def manifest(name: str = "acme", version: str = "1.0.0", **more: Any) -> dict[str, Any]:
    """Return a package.json."""
    return {"name": name, "version": version, "canonical": ACME, **more}


def folder(profiles: Path, *resources: dict[str, Any], choices: str = "", **facts: Any) -> Path:
    """Write a package as a folder and return it."""
    about = manifest(**facts)
    path = profiles / f"{about['name']}-{about['version']}"
    path.mkdir()
    (path / "package.json").write_text(json.dumps(about))
    (path / "profile.toml").write_text(choices)
    for number, resource in enumerate(resources):
        place = path / resource["resourceType"]
        place.mkdir(exist_ok=True)
        (place / f"{number}.json").write_text(json.dumps(resource))
    return path


def archive(profiles: Path, members: dict[str, bytes], name: str = "acme-1.0.0.tgz") -> Path:
    """Write a package as a .tgz and return it."""
    path = profiles / name
    with tarfile.open(path, "w:gz") as package:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return path


def profile(url: str = f"{ACME}/StructureDefinition/a", **more: Any) -> dict[str, Any]:
    """Return a StructureDefinition as small as can be."""
    return {"resourceType": "StructureDefinition", "url": url, "type": "Patient", **more}


def as_json(resource: dict[str, Any]) -> bytes:
    """Return `resource` as the content of a file."""
    return json.dumps(resource).encode()


def test_this_projects_packages_load_without_a_problem(packages: Packages) -> None:
    """national.md NAT-01: every package of the repository is there, with all it depends on."""
    assert list(packages.all("StructureDefinition"))
    assert packages.problems == []
    assert packages.listed()[0].id == CORE


def test_a_package_without_the_base_specification_is_explained(tmp_path: Path) -> None:
    """style.md section 10: a start-up failure names what is missing."""
    with pytest.raises(FileNotFoundError, match=r"hl7\.fhir\.r4\.core"):
        load(tmp_path)


def test_a_folder_and_an_archive_answer_alike(profiles: Path) -> None:
    """national.md NAT-01: a published .tgz is read as it is, files of any name, other folders left alone."""
    members = {
        "package/package.json": as_json(manifest()),
        "package/any name.json": as_json(profile()),
        "package/examples/x.json": as_json(profile("urn:in:another:folder")),
        "other/y.json": b"not even JSON",
    }
    archive(profiles, members)
    folder(profiles, profile("urn:b"), name="other")
    packages = load(profiles)
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a") == profile()
    assert packages.structure_definition("urn:b") == profile("urn:b")
    assert packages.structure_definition("urn:in:another:folder") is None
    assert packages.problems == []


def test_versions_lie_side_by_side(profiles: Path) -> None:
    """ehds.md EHDS-92: url|version names one version, a bare URL the default one."""
    folder(profiles, profile(title="one"), version="1.0.0", choices="default = true")
    folder(profiles, profile(title="ten"), version="1.10.0")
    packages = load(profiles)
    url = f"{ACME}/StructureDefinition/a"
    titles = [(packages.structure_definition(u) or {}).get("title") for u in (url, url + "|1.10.0", url + "|1.0.0")]
    assert titles == ["one", "ten", "one"]
    assert packages.structure_definition(url + "|1.5.0") is None
    assert [r["title"] for r in packages.all("StructureDefinition") if r["url"] == url] == ["one"]


def test_without_a_choice_the_highest_version_is_the_default(profiles: Path) -> None:
    """ehds.md EHDS-92: versions are compared as numbers, and a release is higher than its ballot."""
    for version in ("1.9.0", "1.10.0-ballot", "1.10.0"):
        folder(profiles, profile(title=version), version=version)
    found = load(profiles).structure_definition(f"{ACME}/StructureDefinition/a")
    assert found is not None
    assert found["title"] == "1.10.0"


def test_two_default_versions_are_a_problem(profiles: Path) -> None:
    """style.md section 1, profile.toml: one version is the default."""
    folder(profiles, version="1.0.0", choices="default = true")
    folder(profiles, version="2.0.0", choices="default = true")
    (problem,) = load(profiles).problems
    assert problem == "Package `acme` has several default versions (1.0.0, 2.0.0); 2.0.0 is it."


def test_a_resources_own_version_counts_too(profiles: Path) -> None:
    """references.html#canonical: the version after the bar is the resource's business version."""
    folder(profiles, profile(version="7"), version="1.0.0")
    packages = load(profiles)
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a|7") == profile(version="7")


@pytest.mark.parametrize(
    ("wanted", "present", "problem"),
    [
        ("2.0.0", None, "Package `acme` 1.0.0 needs `base` 2.0.0; there is no version of it."),
        ("2.0.x", "2.1.0", "Package `acme` 1.0.0 needs `base` 2.0.x; there is only 2.1.0."),
        ("2.0.x", "2.0.7", None),
        ("current", "0.1.0", None),
    ],
)
def test_a_missing_dependency_is_named(profiles: Path, wanted: str, present: str | None, problem: str | None) -> None:
    """national.md NAT-01: a missing dependency is a start-up warning that names it, not a crash."""
    folder(profiles, profile(), dependencies={"base": wanted})
    if present:
        folder(profiles, name="base", version=present)
    packages = load(profiles)
    assert packages.problems == ([problem] if problem else [])
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a") is not None


def test_dependencies_come_first_and_a_circle_ends(profiles: Path) -> None:
    """national.md NAT-01: packages are in dependency order."""
    folder(profiles, name="a", dependencies={"b": "1.0.0"})
    folder(profiles, name="b", dependencies={"c": "1.0.0"})
    folder(profiles, name="c", dependencies={"b": "1.0.0"})
    assert [info.id for info in load(profiles).listed() if info.id != CORE] == ["c", "b", "a"]


def test_a_disabled_package_is_not_read(profiles: Path) -> None:
    """style.md section 1, profile.toml: enabled."""
    path = folder(profiles, profile(), choices="enabled = false")
    (path / "package.json").write_text("broken")
    packages = load(profiles)
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a") is None
    assert packages.problems == []


def test_folders_of_tools_are_no_packages(profiles: Path) -> None:
    """style.md section 1: what an editor or Python leaves behind is passed over without a word."""
    for name in (".git", "__pycache__"):
        (profiles / name).mkdir()
    assert load(profiles).problems == []


def test_choices_for_an_archive_lie_beside_it(profiles: Path) -> None:
    """style.md section 1, profile.toml: severity; enforce when nothing is said."""
    archive(profiles, {"package/package.json": as_json(manifest())})
    assert [info.severity for info in load(profiles).listed() if info.id == "acme"] == ["enforce"]
    (profiles / "acme-1.0.0.toml").write_text('severity = "warn"')
    assert [info.severity for info in load(profiles).listed() if info.id == "acme"] == ["warn"]


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "profile.toml",
            "severity_content = 'loud'",
            "`severity_content` in `profile.toml` is none of off, warn, enforce",
        ),
        ("profile.toml", "severity = 'loud'", "`severity` in `profile.toml` is none of off, warn, enforce"),
        ("profile.toml", "= 1", "`profile.toml` is not TOML"),
        ("package.json", "{", "its `package.json` is not JSON"),
        ("package.json", "[]", "its `package.json` has no `name` or no `version`"),
        ("package.json", '{"name": "acme"}', "its `package.json` has no `name` or no `version`"),
    ],
)
def test_a_broken_package_is_named_and_left_out(profiles: Path, file: str, text: str, reason: str) -> None:
    """style.md section 10: a start-up failure names the thing and the reason; the other packages still load."""
    (folder(profiles, profile()) / file).write_text(text)
    packages = load(profiles)
    (problem,) = packages.problems
    assert problem.startswith(f"Package `acme-1.0.0` is not loaded: {reason}")
    assert packages.structure_definition(f"{FHIR}/StructureDefinition/Patient") is not None


def test_a_broken_file_is_named_and_the_rest_is_read(profiles: Path) -> None:
    """national.md NAT-01: what cannot be loaded is reported by name."""
    path = folder(profiles, profile(), {"resourceType": "ValueSet"})
    (path / "StructureDefinition" / "bad.json").write_text("{")
    packages = load(profiles)
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a") is not None
    assert [problem.partition("`, ")[0].split("`")[1] for problem in packages.problems] == [
        "acme-1.0.0/StructureDefinition/bad.json",
        "acme-1.0.0/ValueSet/1.json",
    ]


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "package/../../evil.json", "package\\..\\evil.json"]
)
def test_a_path_out_of_the_archive_is_refused(profiles: Path, name: str) -> None:
    """MHD-SEC-08: an archive whose paths leave it is not read at all."""
    archive(profiles, {"package/package.json": as_json(manifest()), name: b"{}"})
    (problem,) = load(profiles).problems
    assert problem.startswith("Package `acme-1.0.0.tgz` is not loaded: the path ")
    assert "leads out of the package" in problem


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_is_refused(profiles: Path, kind: bytes) -> None:
    """MHD-SEC-08: an archive with anything but files and folders is not read at all."""
    with tarfile.open(profiles / "acme.tgz", "w:gz") as package:
        info = tarfile.TarInfo("package/package.json")
        info.type, info.linkname = kind, "/etc/passwd"
        package.addfile(info)
    (problem,) = load(profiles).problems
    assert problem == (
        "Package `acme.tgz` is not loaded: `package/package.json` is a link or a device, and a package has only files."
    )


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MAX_ARCHIVE_BYTES", 100, "it is larger than 100 bytes"),
        ("MAX_FILE_BYTES", 1000, "`package/zeros.json` is larger than 1000 bytes"),
        ("MAX_UNPACKED_BYTES", 100_000, "it unpacks to more than 100000 bytes"),
        ("MAX_FILES", 1, "it has more than 1 files"),
    ],
)
def test_a_bomb_is_refused(
    profiles: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, reason: str
) -> None:
    """MHD-SEC-08: sizes are limited before anything is kept; the limits are lowered so that the bomb can be small."""
    archive(profiles, {"package/package.json": as_json(manifest()), "package/zeros.json": bytes(1_000_000)})
    monkeypatch.setattr(package_files, limit, value)
    assert load(profiles).problems == [f"Package `acme-1.0.0.tgz` is not loaded: {reason}."]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"\x1f\x8b" + b"\xff" * 100])
def test_what_is_no_archive_is_named(profiles: Path, content: bytes) -> None:
    """style.md section 10: a file that is not what its name says is reported, not a crash."""
    (profiles / "acme.tgz").write_bytes(content)
    (problem,) = load(profiles).problems
    assert problem.startswith("Package `acme.tgz` is not loaded: it ")


def test_a_base_type_is_a_structure_definition_made_from_the_tables(packages: Packages) -> None:
    """structuredefinition.html: profiles find their base definition with a snapshot."""
    definition = packages.structure_definition(f"{FHIR}/StructureDefinition/Bundle|4.0.1")
    assert definition is not None
    assert (definition["kind"], definition["baseDefinition"]) == ("resource", f"{FHIR}/StructureDefinition/Resource")
    link = next(e for e in definition["snapshot"]["element"] if e["path"] == "Bundle.entry.link")
    assert link["contentReference"] == "#Bundle.link"


@pytest.mark.parametrize(
    "url", [f"{FHIR}/StructureDefinition/SimpleQuantity", f"{FHIR}/StructureDefinition/patient-mothersMaidenName"]
)
def test_profiles_and_extensions_of_r4_are_known(packages: Packages, url: str) -> None:
    """extensibility-registry.html: R4's own extensions, and the two profiles of Quantity that types refer to."""
    definition = packages.structure_definition(url)
    assert definition is not None
    assert definition["derivation"] == "constraint"


def test_package_of_names_who_defines(packages: Packages) -> None:
    """style.md section 1, profile.toml: whose severity counts for a profile."""
    base = packages.package_of("StructureDefinition", f"{FHIR}/StructureDefinition/Patient")
    assert base is not None
    assert base.id == CORE
    assert packages.package_of("ValueSet", "urn:unknown") is None


def test_r4_search_parameters_are_there(packages: Packages) -> None:
    """searchparameter-registry.html: code, base, type, expression and targets of R4's own parameters."""
    found = {each["url"]: each for each in packages.all("SearchParameter")}
    patient = found[f"{FHIR}/SearchParameter/clinical-patient"]
    assert (patient["code"], patient["type"], "DocumentReference" in patient["base"]) == ("patient", "reference", True)
    assert len([url for url in found if url.startswith(FHIR)]) >= 1385


@pytest.mark.skipif(not R4.is_dir(), reason="the published definitions are not at hand")
def test_search_parameters_equal_the_published_ones(packages: Packages) -> None:
    """searchparameter-registry.html: nothing that a search reads was lost in the tables."""
    ours = {each["url"]: each for each in packages.all("SearchParameter")}
    facts = ("code", "base", "type", "expression", "target", "comparator", "modifier", "chain", "component")
    theirs = [json.loads(path.read_bytes()) for path in (R4 / "SearchParameter").glob("*.json")]
    compared = [each for each in theirs if "example" not in each["id"]]
    assert len(compared) > 150
    for each in compared:
        assert {f: ours[each["url"]].get(f) for f in facts} == {f: each.get(f) for f in facts}


@pytest.mark.skipif(not R4.is_dir(), reason="the published code lists are not at hand")
def test_expansions_equal_an_independent_list(packages: Packages) -> None:
    """terminologies.html#required: every required value set, as somebody else expanded it."""
    for url, codes in json.loads((R4 / "required-codes.json").read_bytes()).items():
        expected = None if codes is None else {(each.get("system", ""), each["code"]) for each in codes}
        assert packages.codes(url) == expected, url


def test_every_required_binding_of_r4_can_be_decided(packages: Packages) -> None:
    """terminologies.html#required: by a list or by a pattern; the one exception is an answer list of LOINC."""
    structures = packages.structures
    elements = (element for name in structures.type_names() for element in structures.elements(name))
    required = {e.binding[1] for e in elements if e.binding and e.binding[0] == "required"}
    undecided = {url for url in required if packages.codes(url) is None and not packages.code_pattern(url)}
    assert undecided == {"http://loinc.org/vs/LL379-9"}


CODES = {
    "resourceType": "CodeSystem",
    "url": "urn:codes",
    "content": "complete",
    "property": [{"code": "colour", "type": "code"}, {"code": "parent", "type": "code"}],
    "concept": [
        {"code": "a", "concept": [{"code": "ab", "concept": [{"code": "abc"}]}, {"code": "ad"}]},
        {"code": "e", "property": [{"code": "colour", "valueCode": "red"}]},
        {"code": "f", "property": [{"code": "parent", "valueCode": "ab"}]},
    ],
}
ALL = {"a", "ab", "abc", "ad", "e", "f"}


@pytest.mark.parametrize(
    ("compose", "codes"),
    [
        ({"include": [{"system": "urn:codes"}]}, ALL),
        ({"include": [{"system": "urn:codes", "concept": [{"code": "x"}]}]}, {"x"}),
        ({"include": [{"system": "urn:codes", "version": "9"}]}, ALL),
        ({"include": [{"system": "urn:unknown", "concept": [{"code": "x"}]}]}, {"x"}),
        ({"include": [{"system": "urn:unknown"}]}, None),
        ({"include": [{"system": "urn:codes"}], "exclude": [{"system": "urn:unknown"}]}, None),
        (
            {"include": [{"system": "urn:codes"}], "exclude": [{"system": "urn:codes", "concept": [{"code": "e"}]}]},
            ALL - {"e"},
        ),
        ({"include": [{"valueSet": ["urn:imported"]}]}, {"e", "f"}),
        ({"include": [{"valueSet": ["urn:imported"], "system": "urn:codes", "concept": [{"code": "e"}]}]}, {"e"}),
        ({"include": [{"valueSet": ["urn:nowhere"]}]}, None),
        ({"include": [{"valueSet": ["urn:tested"]}]}, None),
    ],
)
def test_composition(profiles: Path, compose: dict[str, Any], codes: set[str] | None) -> None:
    """valueset.html#compositions: includes are joined, parts of an include intersect, excludes are taken away."""
    assert expansion(profiles, compose) == codes


@pytest.mark.parametrize(
    ("name", "operator", "value", "codes"),
    [
        ("concept", "is-a", "ab", {"ab", "abc", "f"}),
        ("concept", "descendent-of", "ab", {"abc", "f"}),
        ("concept", "is-not-a", "ab", {"a", "ad", "e"}),
        ("concept", "is-a", "unknown", None),
        ("code", "regex", "a.*", {"a", "ab", "abc", "ad"}),
        ("code", "in", "a,e", {"a", "e"}),
        ("colour", "=", "red", {"e"}),
        ("colour", "exists", "false", ALL - {"e"}),
        ("undeclared", "=", "red", None),
        ("concept", "generalizes", "abc", None),
    ],
)
def test_filters(profiles: Path, name: str, operator: str, value: str, codes: set[str] | None) -> None:
    """codesystem.html#filters: over hierarchy and properties; what cannot be decided is unknown, never a part."""
    part = {"system": "urn:codes", "filter": [{"property": name, "op": operator, "value": value}]}
    assert expansion(profiles, {"include": [part]}) == codes


def test_an_expansion_that_is_carried_along_is_used_when_it_is_whole(profiles: Path) -> None:
    """valueset.html#expansions: nested entries count, abstract ones do not, a page of many is not the whole."""
    contains = [{"system": "urn:s", "code": "a", "abstract": True, "contains": [{"system": "urn:s", "code": "b"}]}]
    whole = {"resourceType": "ValueSet", "url": "urn:whole", "expansion": {"total": 1, "contains": contains}}
    page = {"resourceType": "ValueSet", "url": "urn:page", "expansion": {"total": 500, "contains": contains}}
    folder(profiles, whole, page)
    packages = load(profiles)
    assert packages.codes("urn:whole") == frozenset({("urn:s", "b")})
    assert packages.codes("urn:page") is None


def expansion(profiles: Path, compose: dict[str, Any]) -> set[str] | None:
    """Return the codes of a value set of that composition."""
    imported = {"include": [{"system": "urn:codes", "concept": [{"code": "e"}, {"code": "f"}]}]}
    folder(
        profiles,
        CODES,
        {"resourceType": "ValueSet", "url": "urn:imported", "compose": imported},
        {"resourceType": "ValueSet", "url": "urn:tested", "compose": compose},
    )
    codes = load(profiles).codes("urn:tested")
    return None if codes is None else {code for _, code in codes}


def test_the_published_core_package_beside_the_tables_does_no_harm(profiles: Path) -> None:
    """national.md NAT-01: FHIR R4's published package may be dropped in; the tables stay what is meant."""
    archive(profiles, {"package/package.json": as_json(manifest(CORE, "4.0.1"))}, f"{CORE}.tgz")
    packages = load(profiles)
    assert packages.structures.kind("Patient") == "resource"
    assert packages.problems == []


def test_contents_are_read_after_start(profiles: Path) -> None:
    """Architecture, section 5: start-up reads manifests and nothing else of a folder."""
    path = folder(profiles, profile())
    packages = load(profiles)
    shutil.rmtree(path / "StructureDefinition")
    assert packages.structure_definition(f"{ACME}/StructureDefinition/a") is None
