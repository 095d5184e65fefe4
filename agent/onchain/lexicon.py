"""The words of questions about a chain, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.onchain.asked import Aggregate, Measure


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b", re.IGNORECASE)


COUNTS = _words(r"how many|count|number of|how often")
ASKS = re.compile(r"(?:count|list|give|name|find|show|compute|state|tell|sum|total)\b", re.IGNORECASE)
"""How a sentence begins that asks without a question mark."""

BY_EACH = re.compile(
    r"\b(?:per|for each|by each|by)\s+"
    r"(?=(?:sender|receiver|token|contract|event|block|address|transaction|spender|owner)\b)",
    re.IGNORECASE,
)
NAMED_HASH = re.compile(
    r"\b(?:transactions?|txn?s?|block|logs?|events?|hash)\s+(?:with hash\s+|hash\s+)?HASH", re.IGNORECASE
)
"""A hash that the question itself calls one of a chain's."""

SHARE = _words(r"share|percentage|per ?cent|fraction|proportion|%")
GENERAL = re.compile(
    r"\b(?:can|may|could|should|must|allowed|an? (?:block|transaction|event|transfer|log|address)"
    r"|(?:each|every|any) block"
    r"|ever|will|would|bitcoin|typically|usually|generally)\b",
    re.IGNORECASE,
)
"""Words of questions about how things are in general, where no block, hash or address is named."""

NOT_COMPUTED = _words(
    r"percentiles?|quantiles?|standard deviation|variance|correlat\w+|gini|histogram|distribution"
    r"|equal(?:s| to)?|more than one|more than once"
    r"|(?:more|less|fewer|higher|lower|greater|smaller) than (?:the|average|their)"
)
"""What the grammar knows that it cannot compute."""

SYMBOL = re.compile(r"\b([A-Z][A-Z0-9]{1,9})\s+(?:token )?(?:transfers?|approvals?|transferred|volume)\b")
NO_SYMBOLS = frozenset(
    [
        "ERC",
        "NFT",
        "NFTS",
        "ETH",
        "EIP",
        "USD",
        "LP",
        "BLOCKS",
        "HASH",
        "SELECTOR",
        "AMOUNT",
        "DAY",
        "ENS",
        "TOKEN",
        "ADDRESS",
    ]
)

ELSEWHERE = re.compile(
    r"\b(?:proposals?|EIPs|ERCs|standards?|specifications?|papers?|means?|meaning|stands? for"
    r"|source code|rules?|formulas?"
    r"|declare[sd]?|defined?|defines|EIP-(?!1559\b|2930\b|4844\b)\d+|ERC-(?!20\b|721\b|1155\b)\d+|BIP-\d+)\b",
    re.IGNORECASE,
)
"""Words that ask for more than rows: what proposals, papers or code say."""

CUE = re.compile(
    r"\b0x[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?\b|\bblocks?\s+(?:number\s+)?#?\d[\d,]{3,}"
    r"|\b(?:transactions?|txs?|transfers?|transferred|approvals?|logs?|swaps?"
    r"|gas price|base fee|gas used|blocks?)\b",
    re.IGNORECASE,
)
"""What a question must hold to be read as one about a chain's rows at all."""

IN_THE_LIBRARY = _words(
    r"in the library|in this library|ingested|on record|both blocks|these blocks"
    r"|(?:the|these|those) two blocks"
)

AGGREGATES: Sequence[tuple[Aggregate, re.Pattern[str]]] = (
    ("net", _words(r"gain(?:ed|s)?|profits?|net|earn(?:ed|s)?|loss|lose|lost|balance change|pnl")),
    ("distinct", _words(r"distinct|different|unique")),
    (
        "change",
        _words(
            r"by how much|difference|differ|change[sd]?|rise|rose|risen"
            r"|fall|fell|fallen|drop(?:ped)?|passed|elapsed|apart|how long|increased?|decreased?"
        ),
    ),
    ("median", _words(r"median")),
    ("average", _words(r"average|the mean|mean (?=gas|value|fee|tip|price|size|amount|transfer|number)")),
    (
        "max",
        _words(
            r"largest|biggest|highest|greatest|maximum|max|most|top|heaviest|priciest|costliest|richest"
            r"|longest|main|dominant"
        ),
    ),
    ("min", _words(r"smallest|lowest|least|minimum|cheapest|fewest|tiniest|shortest")),
    (
        "sum",
        _words(r"total(?:led)?|sum|altogether|in all|combined|overall|volume|aggregate|cumulative|how much"),
    ),
    ("count", _words(r"how many|number of|count|how often|how many times")),
    ("first", _words(r"first|earliest")),
    ("last", _words(r"last|latest|final")),
    (
        "list",
        _words(
            r"which|what|who|whose|list|show|name|give|was|were|did|is|are|any|when|where|does|do|tell|has|find"
        ),
    ),
)
"""Tried in this order; the first that a clause holds is its aggregate."""

MEASURES: Sequence[tuple[str, re.Pattern[str], Measure]] = (
    ("transactions", _words(r"logs?|events?"), Measure("logs", "number of event logs")),
    (
        "transactions",
        _words(r"(?:priority fee|tip) per gas|tip price|priority fee per gas"),
        Measure("tip_per_gas", "tip for one gas", 9),
    ),
    ("transactions", _words(r"tips?|tipped|priority fees?|bribes?"), Measure("tip", "tip", 18)),
    ("transactions", _words(r"burnt|burned|burns?"), Measure("burnt", "burnt base fee", 18)),
    (
        "transactions",
        _words(r"(?:effective )?gas[- ]prices?|price per gas|gwei"),
        Measure("effective_gas_price", "effective gas price", 9),
    ),
    ("transactions", _words(r"gas[- ]limits?"), Measure("gas", "gas limit", None, "gas")),
    (
        "transactions",
        _words(r"(?:transaction |tx |gas )?fees?|paid for gas|spent on gas|gas costs?|cost"),
        Measure("fee", "fee", 18),
    ),
    (
        "transactions",
        _words(r"gas|gas[- ]used|gas[- ]consumption"),
        Measure("gas_used", "gas used", None, "gas"),
    ),
    ("transactions", _words(r"nonces?"), Measure("nonce", "nonce")),
    (
        "transactions",
        _words(r"call ?data|input(?: data)?|payload"),
        Measure("input_size", "size of call data", None, "bytes"),
    ),
    (
        "transactions",
        _words(r"ETH|ether|value|wei|amount|native|worth|sent|moved|transferred"),
        Measure("value", "value", 18),
    ),
    ("blocks", _words(r"burnt|burned|burns?"), Measure("burnt", "burnt base fees", 18)),
    ("blocks", _words(r"base[- ]?fees?(?: per gas)?"), Measure("base_fee_per_gas", "base fee per gas", 9)),
    ("blocks", _words(r"tips?|priority fees?"), Measure("tips", "tips", 18)),
    ("blocks", _words(r"gas[- ]limits?"), Measure("gas_limit", "gas limit", None, "gas")),
    ("blocks", _words(r"gas|gas[- ]used"), Measure("gas_used", "gas used", None, "gas")),
    ("blocks", _words(r"size|bytes|big|larger|largest"), Measure("size", "size", None, "bytes")),
    ("blocks", _words(r"transactions|txs"), Measure("transaction_count", "transactions")),
)
"""Subject, words, column. Tried in this order."""

BLOCK_ONLY = _words(
    r"base[- ]?fees?(?: per gas)?|miners?|fee recipient|coinbase|proposers?|builders?"
    r"|parent hash|timestamp|mined"
)
MORE_OR_LESS = re.compile(
    r"\b(?:(?P<more>more|higher|larger|bigger|greater|fuller)|less|lower|smaller|fewer|emptier)\b",
    re.IGNORECASE,
)
HOW_MANY_TOKENS = re.compile(
    r"\bhow (?:many|much) TOKEN\d+(?: tokens?)? "
    r"(?!token|transfer|approv|deposit|withdraw|event|log|transaction|swap|mint)",
    re.IGNORECASE,
)
ZERO_VALUE = _words(r"(?:zero|no|0) (?:ETH|ether|value)|(?:zero|0)[- ]value|value (?:of |is )?(?:0|zero)")
BLOCK_WORDS = _words(
    r"base[- ]?fees?(?: per gas)?|miner|fee recipient|coinbase|proposer|builder|validator|parent|timestamp|"
    r"gas limit of (?:the )?blocks?|block size|size of|block hash|mined|produced|block times?|"
    r"full(?:er|est)?|(?:which|what) (?:of the )?(?:two )?blocks?|between the (?:two )?blocks"
)
SWAPS = _words(r"swap(?:s|ped|ping)?|trade[sd]?|trading|exchange[sd]?|rate|sold|bought|sell|buy")
APPROVALS = _words(r"approv\w*|allowances?")
TRANSFERS = _words(
    r"transfers?|transferred|transferring|sent|receive[sd]?|moved|moves?|mint(?:s|ed|ing)?|NFTs?|burn(?:s|ed)?"
)
LOGS = _words(r"logs?|events?|emit(?:s|ted)?|emitters?")
TRANSACTIONS = _words(
    r"transactions?|txs?|txns?|senders?|receivers?|recipients?|gas|fees?|tips?|nonce|calls?|called|failed|reverted|bribes?|receipt|paid|pay"
)
CREATIONS = _words(
    r"(?:contract|contracts) (?:\w+ )?(?:deployed|created|creations?|deployments?)|deploy\w*"
    r"|contract creations?|creates? a contract|created contracts?"
    r"|contracts? (?:was|were) (?:deployed|created)"
    r"|create transactions?"
)
FAILED = _words(r"fail(?:s|ed|ing|ures?)?|revert(?:s|ed|ing)?|unsuccessful|status 0")
SUCCEEDED = _words(r"succeed(?:s|ed)?|successful|success|status 1")
UNLIMITED = _words(
    r"unlimited|infinite|max(?:imum)? uint256|uint256 max|type\(uint256\)\.max|2\*\*256 ?- ?1|2\^256 ?- ?1"
)
REVOKED = _words(r"revok\w*|zero approvals?|approvals? (?:of|to) (?:0|zero)|reset")
MINTED = _words(r"mint(?:s|ed|ing)?")
BURNED = _words(r"burn(?:s|ed|ing)?|burnt")
NFTS = _words(r"NFTs?|ERC-?721|non-fungible")
FUNGIBLE = _words(r"ERC-?20|fungible")
RECEIVED_MOST = _words(r"(?:receive[sd]?|got|gained|took in) (?:the )?(?:most|largest|highest|least)")
SENT_MOST = _words(
    r"(?:sent|send|sends|gave|spent|moved|transferred|paid) (?:out )?(?:the )?(?:most|largest|highest|least)"
)
PLAIN = _words(
    r"plain (?:ETH|ether|value|transfers?)|simple (?:ETH|ether|transfers?)|without (?:call ?data|input)"
)
TYPES: Sequence[tuple[re.Pattern[str], int]] = (
    (_words(r"legacy|type[- ]0|type 0x0"), 0),
    (_words(r"access[- ]list|EIP-?2930|type[- ]1|type 0x1"), 1),
    (_words(r"EIP-?1559|type[- ]2|type 0x2|dynamic[- ]fee"), 2),
    (_words(r"blob|EIP-?4844|type[- ]3|type 0x3"), 3),
)
CALLS: Sequence[tuple[re.Pattern[str], str, str]] = (
    (_words(r"transferFrom(?:\(\))? calls?|calls? (?:to |of )?transferFrom"), "0x23b872dd", "transferFrom"),
    (
        _words(
            r"(?:TOKEN\d+ )?transfer(?:\(\))? calls?|calls? (?:to |of )?transfer|called transfer"
            r"|token transfers?"
        ),
        "0xa9059cbb",
        "transfer",
    ),
    (
        _words(r"approve(?:\(\))? calls?|calls? (?:to |of )?approve|called approve|approvals? calls?"),
        "0x095ea7b3",
        "approve",
    ),
    (_words(r"deposit(?:\(\))? calls?|calls? (?:to |of )?deposit"), "0xd0e30db0", "deposit"),
    (_words(r"withdraw(?:\(\))? calls?|calls? (?:to |of )?withdraw"), "0x2e1a7d4d", "withdraw"),
)
FUNCTIONS = {
    "0xa9059cbb": "transfer",
    "0x23b872dd": "transferFrom",
    "0x095ea7b3": "approve",
    "0xd0e30db0": "deposit",
    "0x2e1a7d4d": "withdraw",
    "0x3593564c": "execute",
    "0x24856bc3": "execute",
    "0xac9650d8": "multicall",
    "0x5ae401dc": "multicall",
    "0x7ff36ab5": "swapExactETHForTokens",
    "0x18cbafe5": "swapExactTokensForETH",
    "0x38ed1739": "swapExactTokensForTokens",
    "0xb6f9de95": "swapExactETHForTokensSupportingFeeOnTransferTokens",
    "0x791ac947": "swapExactTokensForETHSupportingFeeOnTransferTokens",
    "0x5c11d795": "swapExactTokensForTokensSupportingFeeOnTransferTokens",
    "0xa22cb465": "setApprovalForAll",
    "0x6a761202": "execTransaction",
}
"""Names of functions by selector: ERC-20, ERC-721, WETH9, Uniswap's routers, multicall and Safe."""

LOOKED_FOR = re.compile(
    r"\b(?:which|what|how many|number of|count(?: of)?(?: the)?|average|list|any|distinct|unique"
    r"|failed|legacy|single|one|type[- ]\d)\s+(?:\w+[\s-]){0,3}?(?:transactions?|txs?|txns?)\b"
    r"(?!\s+(?:with hash\s+)?HASH)",
    re.IGNORECASE,
)
"""Transactions as what is asked for, not as what a hash names."""

COUNTED_MOST = re.compile(
    r"\b(?:most|fewest|highest number of|largest number of|top|least)\s+(?:\w+\s+){0,2}?(?:transactions?|txs?"
    r"|transfers?|approvals?|logs?|events?|often|frequent\w*|times|swaps?|calls?|deposits?)\b"
    r"|\b(?:sent|made|called|used|active|frequently|transferred|moved|emitted|approved|common)\s+most\b"
    r"|\bmost\s+(?:\w+ )?(?:active|used|called|common|popular|often|transferred|approved|emitted|frequent)\b",
    re.IGNORECASE,
)
"""The most in number, where it is not the most in amount."""

FOCUS = re.compile(
    r"\b(?:which|what|who|distinct|different|unique|top(?: \d+)?|most active)\b(.*)", re.IGNORECASE
)
GAS_LIMIT = _words(r"gas limits?")
APPROVE_CALLS = _words(r"approv\w+ calls?")
OF_TOKENS = _words(r"transfers?|tokens?|NFTs?|mint\w*")
TXS = _words(r"transactions?|txs?")

GROUPS: Sequence[tuple[re.Pattern[str], str]] = (
    (_words(r"senders?|(?:who|which (?:address|account|EOA|wallet)) sent|deployers?"), "giver"),
    (
        _words(r"receivers?|recipients?|beneficiar\w+|spenders?|received|destinations?|called|callees?"),
        "taker",
    ),
    (_words(r"owners?|approvers?|approving"), "giver"),
    (_words(r"tokens?|coins?|assets?"), "token"),
    (_words(r"contracts?|emitters?|pools?|pairs?"), "contract"),
    (
        _words(r"event types?|types? of events?|kinds? of events?|which events?|what events?|event names?"),
        "event",
    ),
    (_words(r"functions?|selectors?|methods?"), "selector"),
    (_words(r"blocks?"), "block"),
    (_words(r"transactions?|txs?"), "transaction"),
)
ANYBODY: Sequence[tuple[re.Pattern[str], str]] = (
    (_words(r"addresses|address|accounts?|wallets?|EOAs?|who"), "giver"),
)
"""Groups where nothing says which part an address plays."""

PLURAL = _words(r"they|them|their|these|those")
CALLED = _words(r"calls?|called|calling|callers?")
ANAPHORA = _words(r"it|its|that|this|them|their|they|those|these|he|his|same")
OF_THEM = _words(
    r"how many (?:were|are)|(?:which|how many|what|any|one) of (?:them|these|those)|of (?:them|these|those)"
)

STOP = frozenset(
    [
        "a", "about", "above", "across", "after", "all", "also", "among", "an", "and", "and/or", "any",
        "are", "as", "at", "be", "been", "before", "below", "between", "both", "but", "by", "can", "did",
        "do", "does", "during", "each", "every", "exactly", "for", "from", "gross", "had", "has", "have",
        "how", "i", "if", "in", "inside", "into", "is", "it", "its", "just", "many", "me", "more", "much",
        "no", "not", "of", "off", "on", "one", "only", "or", "other", "out", "over", "own", "per", "please",
        "quantity", "raw", "right", "same", "say", "should", "single", "so", "some", "such", "tell", "than",
        "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "through", "to",
        "under", "units", "until", "up", "upon", "us", "was", "we", "were", "what", "when", "where",
        "which", "while", "who", "whose", "will", "with", "within", "would", "you", "your", "chain",
        "on-chain", "ethereum", "mainnet", "eth", "ether", "gwei", "wei", "block", "blocks", "library",
        "tx", "txs", "hash", "address", "addresses", "contract", "contracts", "account", "token", "tokens",
        "amount", "amounts", "decimal", "decimals", "full", "exact", "two", "three", "plain", "pure",
        "happened", "happen", "happens", "used", "use", "uses", "using", "erc", "erc-", "max", "min",
        "uint", "maximum", "value", "values", "give", "given", "list", "show", "name", "state",
        "respectively", "least", "time", "times", "number", "details", "involve", "involved", "involving",
        "made", "make", "makes", "against", "compared", "relative", "days", "day", "unit", "price",
        "prices", "kind", "kinds", "type", "types", "overall", "side", "first", "last", "itself", "there's",
        "what's", "who's", "recorded", "ingested", "record", "data", "call", "calls", "called", "paid",
        "pay", "pays", "including", "include", "excluding", "ignoring", "once", "twice", "percent",
        "percentage", "share", "ratio", "difference", "differ", "higher", "lower", "larger", "smaller",
        "greater", "fewer", "bigger", "rank", "ranked", "order", "ordered", "produced", "produce",
        "producer", "deployed", "deployer", "sender", "receiver", "recipient", "spender", "owner", "emit",
        "emitted", "execution", "executed", "mined", "included", "index", "position", "log", "logs",
        "event", "events", "carry", "carried", "hold", "holds", "contain", "contained", "contains",
        "consumed", "consume", "consumes", "burned", "burnt",
    ]
)  # fmt: skip
"""Words that add nothing, or that the grammar reads in passing."""
