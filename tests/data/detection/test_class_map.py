"""Matching the classes of datasets and models."""

import pytest

from tfyolo.data.detection.class_map import common_classes, distinct_names, is_unnamed, match_classes
from tfyolo.errors import TfyoloError

MODEL = ("Platelets", "RBC", "WBC")


@pytest.mark.parametrize(
    ("data", "model", "expected", "by_name"),
    [
        (MODEL, MODEL, (0, 1, 2), True),
        (("WBC", "RBC", "Platelets"), MODEL, (2, 1, 0), True),
        (("WBC",), MODEL, (2,), True),
        ((" wbc ", "rbc"), MODEL, (2, 1), True),
        (("gro\u0308\u00dfe",), ("x", "gr\u00f6\u00dfe"), (1,), True),
        (("Car", "car"), ("car", "Car"), (1, 0), True),
        (("1", "2", "0"), ("0", "1", "2"), (1, 2, 0), True),  # digits have names
        (("cat", "dog"), ("class0", "class1"), (0, 1), False),
        (("0", "1"), ("cat", "dog"), (0, 1), False),
        (("cat",), ("object",), (0,), False),
        (("car", "bus", "car"), ("car", "bus", "car"), (0, 1, 2), True),
        (("tvmonitor", "tv_stand"), ("tv stand", "tvmonitor", "x"), (1, 0), True),
    ],
)
def test_names_decide_and_numbers_only_where_there_are_none(data, model, expected, by_name):
    found = match_classes(data, model)
    assert (found.model_ids, found.by_name) == (expected, by_name)


@pytest.mark.parametrize(
    ("data", "model"),
    [
        (("cat", "dog", "bird"), MODEL),  # as many, but others
        (("WBC", "cat"), MODEL),
        ((*MODEL, "cat"), MODEL),
        (("cat", "dog"), ("class0", "class1", "class2")),
        (("car", "bus"), ("car", "car")),
        (("CAR", "bus"), ("Car", "car", "bus")),  # in doubt
    ],
)
def test_what_does_not_match_is_refused_with_both_lists(data, model):
    with pytest.raises(TfyoloError, match=f"set has: {', '.join(data)}; the model has: {', '.join(model)}"):
        match_classes(data, model)


def test_many_names_are_shortened():
    with pytest.raises(TfyoloError, match=r"n10, n11, \.\.\. \(1000 in all\)"):
        match_classes(["cat"], [f"n{index}" for index in range(1000)])


def test_several_classes_for_a_model_of_one_name_the_flag():
    with pytest.raises(TfyoloError, match="--single-cls"):
        match_classes(MODEL, ["object"])


def test_common_classes_are_those_of_both():
    assert common_classes(("bird", "wbc", "RBC"), MODEL) == {1: 2, 2: 1}


def test_a_list_of_words_is_no_list_of_numbers():
    assert not is_unnamed(["class1", "class0"])
    assert not is_unnamed([])


def test_added_numbers_do_not_collide():
    assert distinct_names(["a", "a", "a (2)", "a"]) == ("a", "a (3)", "a (2)", "a (4)")
