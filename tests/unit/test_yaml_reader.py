"""YAML means here what it means to the API server."""

import pytest

from odp_dask_operator.spec.document import MAX_FILE_BYTES, UnreadableDocument, read_documents

# What sigs.k8s.io/yaml v1.6.0 (YAMLToJSON) made of `a: <word>`, recorded from that module.
WORDS = [
    ("y", True),
    ("N", False),
    ("yes", True),
    ("Yes", True),
    ("no", False),
    ("ON", True),
    ("off", False),
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("0", 0),
    ("00", 0),
    ("08", 8),
    ("017", 15),
    ("-017", -15),
    ("+5", 5),
    ("0x1F", 31),
    ("0X1f", 31),
    ("-0xF", -15),
    ("0b11", 3),
    ("-0b11", -3),
    ("0b2", "0b2"),
    ("0o17", 15),
    ("0O17", 15),
    ("0o8", "0o8"),
    ("1_000", 1000),
    ("_1", "_1"),
    ("1_", 1),
    ("0_8", 8),
    ("1e6", 1000000),
    ("1E6", 1000000),
    ("1.0", 1),
    ("1.", 1),
    (".5", 0.5),
    ("-.5", -0.5),
    (".5_0", 0.5),
    ("._5", "._5"),
    ("1.5e-3", 0.0015),
    ("1e400", "1e400"),
    ("-0", 0),
    ("9223372036854775807", 9223372036854775807),
    ("1e19", 10000000000000000000),
    ("0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"),
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ("2024-1-1", "2024-1-1"),
    ("12:30", "12:30"),
    ("190:20:30", "190:20:30"),
    ("1.2.3", "1.2.3"),
    ("1e", "1e"),
    ("0x", "0x"),
    ("=", "="),
    ("nan", "nan"),
    ("0x1p-2", "0x1p-2"),
    ("123abc", "123abc"),
    ("'5'", "5"),
    ('"yes"', "yes"),
    ("!!str 5", "5"),
    ("1h", "1h"),
    ("++1", "++1"),
]


def read(text: str) -> dict[str, object]:
    (document,) = read_documents(text.encode(), source="job.yaml")
    return document.value


def refused(text: str | bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        read_documents(text.encode() if isinstance(text, str) else text, source="job.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(("word", "value"), WORDS)
def test_an_unquoted_word_is_what_the_api_server_makes_of_it(word: str, value: object) -> None:
    found = read(f"a: {word}")["a"]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)
    assert isinstance(found, str) == isinstance(value, str)


@pytest.mark.parametrize(("word", "kind"), [("1e6", int), ("1.0", int), ("0.5", float), ("9223372036854775808", float)])
def test_a_whole_number_is_an_integer_and_one_beyond_64_bits_a_double(word: str, kind: type) -> None:
    assert type(read(f"a: {word}")["a"]) is kind


@pytest.mark.parametrize("nothing", ["", "~", "null", "NULL"])
def test_a_field_without_a_value_is_absent(nothing: str) -> None:
    assert read(f"a: {nothing}\nb: [1, ~]") == {"b": [1, None]}


@pytest.mark.parametrize("word", [".nan", ".inf", "-.Inf", "+.INF"])
def test_what_json_cannot_carry_is_refused(word: str) -> None:
    assert refused(f"x: 1\na: {word}") == f"job.yaml:2: {word} cannot be stored in Kubernetes; write it in quotes"


@pytest.mark.parametrize("key", ["y", "No", "on", "1.5", "0x10", "~"])
def test_a_name_that_kubernetes_would_change_is_refused(key: str) -> None:
    assert refused(f"derive:\n  {key}: lat") == f'job.yaml:2: unquoted, {key} is not text in Kubernetes; write "{key}" in quotes'


def test_names_that_are_plain_numbers_or_quoted_are_text() -> None:
    assert read('1: a\n"y": b') == {"1": "a", "y": "b"}


def test_a_name_that_stands_twice_is_refused_with_its_line() -> None:
    assert refused("spec:\n  scale: small\n  load: {}\n  scale: large") == "job.yaml:4: the field scale stands here twice; keep one"


def test_merged_mappings_apply_where_they_stand() -> None:
    # as go-yaml does; the YAML specification lets the explicit field win in both cases
    assert read("a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x}\nc: {<<: *x, q: 4}") == {
        "a": {"p": 1, "q": 2},
        "b": {"p": 1, "q": 2},
        "c": {"p": 1, "q": 4},
    }
    assert read("a: &x {p: 1}\nb: &y {p: 2, r: 3}\nc: {<<: [*x, *y]}")["c"] == {"p": 1, "r": 3}
    assert refused("a: &x [1]\nb: {<<: *x}").startswith("job.yaml:1: << merges mappings")


def test_a_few_lines_of_anchors_cannot_stand_for_billions_of_values() -> None:
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))
    assert "the anchors expand to more than 100000 values" in refused(f"a0: &a0 [x]\n{levels}")


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert "an anchor contains itself" in refused("a: &a [*a]")


def test_deep_nesting_is_refused_whether_yaml_or_we_notice() -> None:
    assert "nested too deeply" in refused("a: " + "[" * 70 + "]" * 70)
    assert "nested too deeply" in refused("a: " + "[" * 5000 + "]" * 5000)


def test_large_and_undecodable_files_are_refused() -> None:
    assert refused(b"#" * (MAX_FILE_BYTES + 1)) == "job.yaml: the file is larger than 1 MiB; is it a job at all?"
    assert refused(b"a: \xff") == "job.yaml: byte 3 is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1", "job.yaml:2: a tab where YAML wants spaces; indent with spaces"),
        ("a: [1\nb: 2", "job.yaml:2: expected ',' or ']', but got ':' (while parsing a flow sequence)"),
        ("a: !secret x", "job.yaml:1: the tag !secret is not read here; leave it out"),
        ("- a\n- b", "job.yaml:1: this is not an object; a job begins with apiVersion, kind, metadata and spec"),
        ('a: "\\ud800"', "job.yaml:1: half of a surrogate pair is no character"),
        ("{a: 1}: b", "job.yaml:1: the name of a field is text"),
    ],
)
def test_errors_name_the_line_and_the_cure(text: str, message: str) -> None:
    assert refused(text) == message


def test_a_file_has_several_documents_and_empty_ones_do_not_count() -> None:
    documents = read_documents(b"\xef\xbb\xbf---\na: 1\n---\n# nothing\n---\nb:\n  c: [x, y1]\n...\n", source="job.yaml")
    assert [document.value for document in documents] == [{"a": 1}, {"b": {"c": ["x", "y1"]}}]
    assert documents[1].line(("b", "c", 1)) == 7
    assert documents[1].line(("b", "missing")) == 6
    assert read_documents(b"", source="job.yaml") == ()
