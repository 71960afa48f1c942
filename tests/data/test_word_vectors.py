"""Vectors of labels from text and from matrices, and what is said of files that do not fit."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from colabel.data.word_vectors import read_label_vectors
from colabel.errors import DataError

WORDS = """\
, 9 9 9
traffic 1 2 3
light 3 0 1
Cat 5 5 5
cat 7 7 7
cat 8 8 8
2 1 1 1
dining-table 4 4 4
"""


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(WORDS)
    return path


@pytest.mark.parametrize(
    ("name", "vector"),
    [
        ("traffic light", [2, 1, 2]),
        ("Traffic_Light", [2, 1, 2]),
        ("light/traffic", [2, 1, 2]),
        ("Cat", [5, 5, 5]),
        ("CAT", [7, 7, 7]),  # the first line of a word holds
        ("dining-table", [4, 4, 4]),
        ("cat 2", [4, 4, 4]),
    ],
)
def test_the_words_of_a_label_are_averaged(words, name, vector):
    found = read_label_vectors(words, [name, "light"])
    assert found.dtype == np.float32
    assert found.tolist() == [vector, [3, 0, 1]]


def test_a_missing_word_is_named_with_the_choices(words):
    with pytest.raises(DataError) as caught:
        read_label_vectors(words, ["traffic cone", "zebra", "cat"])
    assert str(caught.value) == (
        f"{words} has no vector for cone, zebra; rename the labels, add the words, or choose "
        "head.vectors: learned, one_hot, or another file."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat 1 two\n", "line 1: could not convert string to float"),
        ("dog 1 2\ncat 1\n", "line 2: 1 numbers, where others have 2"),
        ("dog\ncat 1\n", "line 1: 0 numbers"),
        ("dog 1 nan\ncat 1 2\n", "a number is not finite"),
        ("dog " + "1 " * 2**20, r"line 1: more than 1,048,576 bytes"),
    ],
)
def test_lines_that_are_no_vectors_are_refused(tmp_path, text, message):
    path = tmp_path / "words.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_label_vectors(path, ["dog", "cat"])


def test_a_matrix_has_a_row_per_label(tmp_path):
    matrix = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "rows.npy", matrix)
    save_file({"vectors": matrix}, tmp_path / "rows.safetensors")
    for name in ("rows.npy", "rows.safetensors"):
        found = read_label_vectors(tmp_path / name, ["b", "a"])
        assert found.dtype == np.float32
        assert found.tolist() == matrix.tolist()
        with pytest.raises(DataError, match=r"shape \(2, 3\), expected a row for each of the 3"):
            read_label_vectors(tmp_path / name, ["a", "b", "c"])


def test_what_is_no_matrix_of_numbers_is_refused(tmp_path):
    np.save(tmp_path / "code.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    save_file({"a": np.ones((1, 1)), "b": np.ones(2)}, tmp_path / "two.safetensors")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 20)
    for name, message in (
        ("code.npy", "Object arrays cannot be loaded"),
        ("words.npy", "numbers of type <U1"),
        ("two.safetensors", "2 arrays"),
        ("broken.npy", "cannot be read"),
        ("broken.safetensors", "cannot be read"),
        ("onehot", "no such file; expected word vectors, as head.vectors: learned, one_hot"),
    ):
        with pytest.raises(DataError, match=message):
            read_label_vectors(tmp_path / name, ["a"])
