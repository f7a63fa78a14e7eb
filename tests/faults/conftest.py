"""Threads for weights as small as those of tests."""

from ..support.threads import all_weights_are_worth_a_thread

__all__ = ["all_weights_are_worth_a_thread"]
