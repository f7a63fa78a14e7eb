"""All float constants of a program: the weights, and the others with the reason."""

from collections.abc import Sequence

from coreai_opt.program import ir
from coreai_opt.program.following import Ending
from coreai_opt.program.forms import form_of_op
from coreai_opt.program.ir import Op
from coreai_opt.program.names import describe_ways
from coreai_opt.program.sites import Site
from coreai_opt.reports.records import Census, OtherConstant


def census_of(sites: Sequence[Site], names: Sequence[str], weight_num_threshold: int) -> Census:
    """Return what the float constants of a program are.

    Args:
        sites: all sites of the program.
        names: their names.
        weight_num_threshold: only constants with more elements than this are weights.
    """
    others, elements, nbytes = [], 0, 0
    for name, site in zip(names, sites, strict=True):
        size = _stored_bytes(site.ops[0])
        nbytes += size
        elements += site.tensor.size if size else 0
        reason = _why_other(site, weight_num_threshold)
        if reason:
            consumers = describe_ways(site.ways)
            others.append(
                OtherConstant(name, site.tensor.shape, site.tensor.format, size, consumers, reason)
            )
    others.sort(key=lambda other: -other.nbytes)
    return Census(tuple(others), elements, nbytes)


def why_no_weight(site: Site) -> str:
    """Return why a float constant is no weight, whatever its size; empty if it is one."""
    endings = {way.ending for way in site.ways}
    contracted = not endings.isdisjoint({Ending.CONTRACTED, Ending.MIXED})
    if ir.is_splat(site.ops[0]):
        return "one repeated element"
    if not site.ways:
        return "unused"
    for way in site.ways:
        if way.ending is Ending.OTHER:
            return f"also used by {way.uses[-1].op.name}" if contracted else way.reason
    return "" if contracted else site.ways[0].reason


def _why_other(site: Site, weight_num_threshold: int) -> str:
    if not site.is_constant:
        return "" if form_of_op(site.ops[0]) is not None else "already a table"
    small = site.tensor.size <= weight_num_threshold
    return why_no_weight(site) or (
        f"not more than {weight_num_threshold:,} elements" if small else ""
    )


def _stored_bytes(op: Op) -> int:
    """Return the bytes that a value takes in a saved program, with all that it is decoded from."""
    if op.name == ir.CONSTANT:
        return ir.stored_bytes(op)
    constants = (constant for made in ir.made_from(op) for constant in ir.constants_of(made))
    return sum(map(ir.stored_bytes, constants))
