from hypothesis import given
from hypothesis import strategies as st

from newel.audit.canonical import leaf_hash, node_hash
from newel.audit.merkle import EMPTY_ROOT, Frontier, root_of


def _by_definition(hashes):
    """Compute the root as RFC 6962 §2.1 defines it, by halving."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return node_hash(_by_definition(hashes[:half]), _by_definition(hashes[half:]))


# Roots of the first sizes of the sample tree of the Certificate Transparency project,
# https://github.com/google/certificate-transparency (its merkle tests), leaves below.
SAMPLE = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
SAMPLE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_roots_of_a_known_tree():
    """The roots of the sizes 0 to 8 of a published tree come out."""
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in SAMPLE]
    assert [root_of(leaves[:size]).hex() for size in range(9)] == SAMPLE_ROOTS


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_a_growing_tree_has_the_root_of_its_definition(hashes):
    """At every size, appending gives the root that halving gives."""
    frontier = Frontier()
    roots = [frontier.root()]
    for leaf in hashes:
        frontier.append(leaf)
        roots.append(frontier.root())
    assert roots == [_by_definition(hashes[:size]) for size in range(len(hashes) + 1)]
    assert frontier.size == len(hashes)
