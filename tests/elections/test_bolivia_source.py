"""Bolivia, 20 October 2019, against every published figure: the literals are those, not what a script made."""

from collections import Counter

from tests.elections.published import definition, fold, percent, records, rows, stations, until

BO = "bolivia-2019"


def test_bo_has_34_555_sheets_and_35_261_statements() -> None:
    assert len(stations(BO)) == 34_555
    kinds = Counter(record.value["kind"] for record in records(BO))
    assert kinds == {"report": 34_555, "correct": 706}
    assert sum(int(row["registered"]) for row in stations(BO).values()) == 7_315_364


def test_bo_after_28_975_statements_has_the_quick_count_of_the_night() -> None:
    first = fold(records(BO)[:28_975])
    assert len(first.counts) == 28_975
    assert first == until(BO, "2019-10-20T19:40:57-04:00")
    votes = first.votes()
    assert (votes["MAS"], votes["CC"]) == (2_355_644, 1_950_000)
    valid = first.ballots("valid")
    assert valid == 5_152_979
    assert (percent(votes["MAS"], valid), percent(votes["CC"], valid)) == ("45.71", "37.84")
    assert percent(28_975, 34_555) == "83.85"


def test_bo_ends_at_the_official_count() -> None:
    tally = fold(records(BO))
    assert {name: tally.ballots(name) for name in ("cast", "valid", "blank", "invalid")} == {
        "cast": 6_460_515,
        "valid": 6_137_671,
        "blank": 93_507,
        "invalid": 229_337,
    }
    assert tally.votes() == {
        "CC": 2_240_920,
        "FPV": 23_725,
        "MTS": 76_827,
        "UCS": 25_283,
        "MAS": 2_889_359,
        "21F": 260_316,
        "PDC": 539_081,
        "MNR": 42_334,
        "PAN-BOL": 39_826,
    }


def test_bo_votes_are_the_source_s_sheet_by_sheet() -> None:
    events = rows(BO, "source/events.csv.gz")
    lists = ("cc", "fpv", "mts", "ucs", "mas_ipsp", "bdn_21f", "pdc", "mnr", "pan_bol")
    for event, record in zip(events, records(BO), strict=True):
        value = record.value
        assert (event["mesa"], event["revision"], event["kind"]) == (
            record.key,
            str(value["revision"]),
            value["kind"],
        )
        assert [int(event[name]) for name in lists] == list(value["votes"].values())
        assert (int(event["blancos"]), int(event["nulos"])) == (
            value["ballots"]["blank"],
            value["ballots"]["invalid"],
        )


def test_bo_is_published_down_to_the_municipality() -> None:
    areas = definition(BO)["areas"]
    assert areas["levels"][: areas["publish_depth"]] == ["pais", "departamento", "provincia", "municipio"]


def test_bo_areas_are_the_source_s_but_for_slashes() -> None:
    levels = definition(BO)["areas"]["levels"]
    paths, source_paths = set(), set()
    for row in rows(BO, "source/mesas.csv.gz"):
        path = [stations(BO)[row["mesa"]][level] for level in levels]
        assert path == [row[level].replace("/", "-").strip() for level in levels]
        paths.add(tuple(path))
        source_paths.add(tuple(row[level] for level in levels))
    assert len(paths) == len(source_paths) == 5_296
