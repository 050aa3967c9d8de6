import gzip

import numpy as np
import pytest

from data_pipeline.importers.formats.delimited_text import (
    BLOCK,
    LogError,
    check_file,
    csv_header,
    read_csv,
)


def _random_csv(seed: int) -> tuple[str, list[int], list[int]]:
    """Lines of which some are broken, and the numbers of the good and of the broken rows."""
    generator = np.random.default_rng(seed)
    lines, good, broken = ["a,b"], [], []
    for number, draw in enumerate(generator.random(400), start=1):
        if draw < 0.1:
            lines.append(str(number))
            broken.append(number)
        elif draw < 0.2:
            lines.append(f"{number},2,3")
            broken.append(number)
        else:
            good.append(number)
            lines.append(f'{number},"x\ny, z"' if draw < 0.4 else f"{number},")
            if draw > 0.9:
                lines.append("")
    return "\n".join(lines) + "\n", good, broken


@pytest.mark.parametrize("block", [200, 3000, BLOCK])
def test_every_row_keeps_its_number_among_broken_blank_and_quoted_lines(tmp_path, block):
    text, good, broken = _random_csv(block)
    (tmp_path / "x.csv").write_text(text)
    parts = list(read_csv(tmp_path / "x.csv", block=block))
    assert [int(value) for part in parts for value in part.rows["a"].to_pylist()] == good
    assert [number for part in parts for number in part.numbers.tolist()] == good
    assert [number for part in parts for number in part.broken] == broken


def test_values_stay_text_and_an_empty_value_is_not_null(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n007,\nNaN,null\n")
    [part] = read_csv(tmp_path / "x.csv")
    assert part.rows.to_pydict() == {"a": ["007", "NaN"], "b": ["", "null"]}


def test_a_byte_order_mark_is_removed_from_the_first_column(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert csv_header(tmp_path / "x.csv") == ["a", "b"]
    [part] = read_csv(tmp_path / "x.csv")
    assert part.rows.to_pydict() == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_text_that_is_not_utf8_is_an_error_with_line_byte_and_fix(tmp_path, pack):
    name = "x.csv.gz" if pack is gzip.compress else "x.csv"
    (tmp_path / name).write_bytes(pack(b"a,b\n1,2\ncaf\xe9,3\n"))
    with pytest.raises(LogError, match=rf"{name}.*line 3 .*0xe9.*iconv -f LATIN1"):
        check_file(tmp_path / name)


@pytest.mark.parametrize("offset", range(-2, 2))
def test_a_character_on_the_border_of_two_blocks_is_read(tmp_path, offset):
    head = b"a" * (BLOCK + offset - 1) + b"\n"
    (tmp_path / "x.csv").write_bytes(head + "日本\n".encode())
    check_file(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_bytes(head + b"\xe6\x97\n")
    with pytest.raises(LogError, match=r"line 2 "):
        check_file(tmp_path / "y.csv")


def test_a_file_cut_short_is_an_error(tmp_path):
    packed = gzip.compress(b"a,b\n" * 1000)
    (tmp_path / "x.csv.gz").write_bytes(packed[:-10])
    with pytest.raises(LogError, match="must be a complete gzip file"):
        check_file(tmp_path / "x.csv.gz")
    (tmp_path / "y.csv").write_bytes(b"a\n1\xe6")
    with pytest.raises(LogError, match="must be UTF-8, and line 2"):
        check_file(tmp_path / "y.csv")


def test_an_empty_file_has_no_header(tmp_path):
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(LogError, match="first line must name the columns"):
        csv_header(tmp_path / "x.csv")


def test_a_file_may_have_no_header_and_quotes_that_are_letters(tmp_path):
    (tmp_path / "x.tsv").write_text('1\ta "b\n2\n\n3\tc"\td\n4\t"x\n5\t"\n')
    [part] = read_csv(tmp_path / "x.tsv", "\t", names=("a", "b"), quoted=False)
    assert part.rows.to_pydict() == {"a": ["1", "4", "5"], "b": ['a "b', '"x', '"']}
    assert part.numbers.tolist() == [1, 4, 5] and part.broken == [2, 3]
    (tmp_path / "y.tsv").write_text("")
    assert list(read_csv(tmp_path / "y.tsv", "\t", names=("a", "b"))) == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_header_alone_has_no_rows(tmp_path, end):
    (tmp_path / "a.csv").write_bytes(f"a,b{end}".encode())
    parts = list(read_csv(tmp_path / "a.csv"))
    assert [part.rows.column_names for part in parts] == [["a", "b"]]
    assert sum(part.rows.num_rows + len(part.broken) for part in parts) == 0


def test_lines_may_end_as_those_of_old_macintoshes_do(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\r1,2\r3,4\r")
    [part] = read_csv(tmp_path / "a.csv")
    assert part.rows.to_pydict() == {"a": ["1", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize("row", ['1,"x', '"1,x', '1,"x ""', '1,2,"x'])
@pytest.mark.parametrize("after", ["3,4\n", "3,4\n5,6", "\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path, row, after, name):
    text = f"a,b\n0,0\n{row}\n{after}".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    with pytest.raises(LogError, match=rf"{name}: every quote must be closed, and one of row 2 is"):
        list(read_csv(tmp_path / name))


@pytest.mark.parametrize(
    "row", ['1,"x\n3,4"', '1,"x\n"', '1,"x\n"y', '1,2,"\n"', '1,5" wide', '1,"a\n""b"']
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_row_may_hold_quotes_and_line_ends(tmp_path, row, end):
    (tmp_path / "a.csv").write_text(f"a,b\n0,0\n{row}{end}")
    parts = list(read_csv(tmp_path / "a.csv"))
    assert sum(part.rows.num_rows + len(part.broken) for part in parts) == 2


def test_a_row_longer_than_a_block_is_refused_without_its_text(tmp_path):
    (tmp_path / "a.csv").write_text(f"a,b\n1,2\n3,{'x' * 5000}\n5,6\n")
    with pytest.raises(LogError, match="a row must be CSV of no more than 1,000 bytes") as refused:
        list(read_csv(tmp_path / "a.csv", block=1000))
    assert "xxx" not in str(refused.value)


def test_a_header_too_long_for_names_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(f"a,{'x' * 200_000}\n1,2\n")
    with pytest.raises(LogError, match=r"first line must name the columns.*too long for a name"):
        list(read_csv(tmp_path / "a.csv"))


def test_a_gzip_file_with_a_bit_turned_is_refused(tmp_path):
    packed = bytearray(gzip.compress(b"a,b\n" + bytes(range(32, 127)) * 99))
    for place in range(10, len(packed)):
        packed[place] ^= 1
        (tmp_path / "a.csv.gz").write_bytes(packed)
        with pytest.raises(LogError, match=r"complete gzip file|must be UTF-8"):
            check_file(tmp_path / "a.csv.gz")
        packed[place] ^= 1


def test_bytes_after_the_end_of_a_gzip_file_are_refused(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n") + bytes(8))
    check_file(tmp_path / "a.csv.gz")
    with pytest.raises(LogError, match=r"a\.csv\.gz: .* to its end.*bytes that are not gzip"):
        list(read_csv(tmp_path / "a.csv.gz"))


def test_only_line_ends_end_a_header(tmp_path):
    (tmp_path / "a.csv").write_text("a\x0cb,c\u2028\n1,2\n", encoding="utf-8")
    [part] = read_csv(tmp_path / "a.csv")
    assert csv_header(tmp_path / "a.csv") == part.rows.column_names == ["a\x0cb", "c\u2028"]
