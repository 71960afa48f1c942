"""Methods: one file per paper, which says which head, which terms and which stages; no torch."""

from collections.abc import Mapping

from colabel.methods.baselines import (
    ASL,
    ASL_METHOD,
    BCE,
    BCE_METHOD,
    CSRA,
    CSRA_METHOD,
    FOCAL_METHOD,
    ML_DECODER_METHOD,
    QUERY2LABEL_METHOD,
    TWO_WAY_METHOD,
    ZLPR,
    ZLPR_METHOD,
    Focal,
    MLDecoder,
    Query2Label,
    TwoWay,
)
from colabel.methods.graphs import MLGCN, MLGCN_METHOD, TDRG, TDRG_METHOD
from colabel.methods.kmcl import KMCL
from colabel.methods.kmcl import METHOD as KMCL_METHOD
from colabel.methods.mulsupcon import METHOD as MULSUPCON_METHOD
from colabel.methods.mulsupcon import MulSupCon
from colabel.methods.plan import Method, StagePlan
from colabel.methods.probmcl import METHOD as PROBMCL_METHOD
from colabel.methods.probmcl import ProbMCL

METHODS: Mapping[str, Method] = {
    "kmcl": KMCL_METHOD,
    "probmcl": PROBMCL_METHOD,
    "asl": ASL_METHOD,
    "bce": BCE_METHOD,
    "focal": FOCAL_METHOD,
    "zlpr": ZLPR_METHOD,
    "two_way": TWO_WAY_METHOD,
    "mulsupcon": MULSUPCON_METHOD,
    "csra": CSRA_METHOD,
    "ml_gcn": MLGCN_METHOD,
    "tdrg": TDRG_METHOD,
    "ml_decoder": ML_DECODER_METHOD,
    "query2label": QUERY2LABEL_METHOD,
}
"""A method per ``method.name``."""

__all__ = [
    "ASL",
    "BCE",
    "CSRA",
    "KMCL",
    "METHODS",
    "MLGCN",
    "TDRG",
    "ZLPR",
    "Focal",
    "MLDecoder",
    "Method",
    "MulSupCon",
    "ProbMCL",
    "Query2Label",
    "StagePlan",
    "TwoWay",
]
