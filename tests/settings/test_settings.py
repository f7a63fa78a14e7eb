"""``Settings`` is the one list of settings: what is made of it has them all, and no other."""

import inspect
import pickle
from dataclasses import replace

import pytest

from coreai_opt import DType, Observer, QScheme, Rule
from coreai_opt.cli.command import make_parser
from coreai_opt.coreai_utils import palettize_weights, quantize_weights
from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, Value
from coreai_opt.settings.checked import check_settings
from coreai_opt.settings.rules import KEYS, rule_for
from coreai_opt.settings.settings import (
    DEFAULTS,
    OF_CODES,
    OF_TABLES,
    SETTINGS,
    TABLE_DEFAULTS,
    Settings,
    describe,
)


def test_each_is_an_argument_of_quantize_weights_with_this_default():
    parameters = inspect.signature(quantize_weights).parameters
    defaults = {name: parameters[name].default for name in OF_CODES if name != "dtype"}
    assert defaults == {name: getattr(DEFAULTS, name) for name in OF_CODES if name != "dtype"}
    assert parameters["dtype"].default is inspect.Parameter.empty


def test_each_other_is_an_argument_of_palettize_weights_with_this_default():
    parameters = inspect.signature(palettize_weights).parameters
    has_default = [name for name in OF_TABLES if name not in {"n_bits", "lut_dtype"}]
    defaults = {name: parameters[name].default for name in has_default}
    assert defaults == {name: getattr(TABLE_DEFAULTS, name) for name in has_default}
    assert {*OF_CODES, *OF_TABLES} == {*SETTINGS}
    assert TABLE_DEFAULTS.n_bits is TABLE_DEFAULTS.dtype is DEFAULTS.n_bits is None


def test_each_is_an_option_of_the_command():
    options = make_parser().parse_args(["quantize", "in.aimodel", "out.aimodel"])
    assert Settings.among(options) == Settings()
    words = ["quantize", "a", "b", "--dtype", "int4", "--block-size", "16", "--observer", "mse"]
    said = Settings(dtype="int4", block_size=16, observer="mse")
    assert Settings.among(make_parser().parse_args(words)) == said


def test_each_is_a_key_of_a_rule_behind_those_that_match_weights():
    assert ("name", "consumer", "shape", "keep", *SETTINGS) == KEYS
    assert Rule("layer", "conv2d", (1, "*"), False).name == "layer"


def test_a_rule_for_a_weight_says_what_settings_say():
    settings = Settings(dtype=DType.INT4, observer=Observer.MSE)
    assert Settings.among(rule_for("w", settings)) == settings
    assert rule_for("w", None) == Rule("w", keep=True)


def test_defaults_can_be_typed():
    typed = {
        name: d.choices for name, d in describe(OF_CODES) if d.choices and d.default is not None
    }
    assert typed.keys() == {"qscheme", "granularity", "indivisible"}
    assert all(getattr(DEFAULTS, name) in choices for name, choices in typed.items())


def test_merging_takes_what_the_other_says():
    ours = Settings(dtype="int8", qscheme="symmetric", block_size=16)
    theirs = Settings(dtype="int4", observer="mse")
    assert ours.merge(theirs) == Settings(
        dtype="int4", qscheme="symmetric", block_size=16, observer="mse"
    )
    assert ours.merge(Settings()) == ours
    assert theirs.said() == {"dtype": "int4", "observer": "mse"}


def test_the_checked_settings_have_members_and_numbers():
    said = Settings(dtype="uint4", qscheme="asymmetric", granularity="per_block", observer="mse")
    checked = check_settings(DEFAULTS.merge(said))
    spec = checked.spec
    assert (spec.format.name, spec.symmetric, spec.observer) == ("uint4", False, Observer.MSE)
    assert (checked.granularity, checked.block_size, checked.fit) == ("per_block", 32, False)


@pytest.mark.parametrize("name", sorted({*OF_CODES} - {"scale_dtype", "observer", "rounding"}))
def test_what_is_left_unsaid_is_refused(name):
    complete = replace(DEFAULTS, dtype="int8", granularity="per_block")
    with pytest.raises(ArgumentTypeError, match=name) as raised:
        check_settings(replace(complete, **{name: None}))
    assert raised.value.argument == name


def test_an_error_knows_its_argument_and_its_words():
    error = ArgumentError("qscheme", Argument("qscheme"), " must be ", Value(QScheme.SYMMETRIC))
    assert isinstance(error, ValueError)
    assert isinstance(ArgumentTypeError("x"), TypeError)
    assert str(error) == "qscheme must be <QScheme.SYMMETRIC: 'symmetric'>"
    within = error.within("rule 1").within("rules.toml")
    assert (within.argument, within.message.place) == ("qscheme", "rules.toml: rule 1")
    assert str(within) == f"rules.toml: rule 1: {error}"
    assert str(pickle.loads(pickle.dumps(within))) == str(within)
