"""The vocabulary of questions about a chain: typed entries, and the few words that change nothing.

An entry is a phrase in small letters, without hyphens; `s` at the end of its last word is tried without.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from agent.onchain.concepts import BEYOND, FUNCTION, IDLE


class Entry(NamedTuple):
    """What a phrase is: its kind, and what it stands for."""

    kind: str
    value: str


_ENTRIES: Mapping[str, Mapping[str, str]] = {
    "subject": {
        "transactions": "transaction|tx|txn|txes",
        "logs": "log|event|event log|log event|log entry|log entries|emitted event|emission",
        "transfers": "transfer|token transfer|token movement|transfer of token",
        "blocks": "block",
    },
    "column": {
        "gas_used": "gas consumer|gas guzzling|gas hungry|gas|gas used|gas usage|gas consumption|"
        "gas consumed|used gas|consumed gas|amount of gas|"
        "gas burned|gas spent|gas use",
        "gas_limit": "gas limit|limit of gas|gas allowance",
        "gas_price": "gas price|effective gas price|price per gas|effective price|price of gas|"
        "price paid per gas|price per unit of gas|gas price paid",
        "offered_price": "offered gas price|offered price",
        "base_fee": "base fee|base fee per gas|basefee|base gas fee|base price",
        "tip": "tip above base fee|tips above base fee|tip over base fee|tip|priority fee|miner tip|"
        "priority tip|tip paid|tips paid|priority fees paid|"
        "total tip|total priority fee|bribe",
        "tip_per_gas": "effective gas price minus base fee|gas price minus base fee|"
        "gas price above base fee|tip per gas|priority fee per gas|tip per unit of gas|"
        "effective priority fee|"
        "effective tip|effective priority fee per gas|priority fee per unit of gas|tip price|tip rate|"
        "effective tip per gas",
        "max_fee": "max fee|maximum fee per gas|max fee per gas|fee cap|maxfeepergas|gas fee cap|"
        "max fees per gas",
        "max_tip": "max priority fee|max priority fee per gas|maximum priority fee|"
        "maximum priority fee per gas|priority fee cap|tip cap|maxpriorityfeepergas|max priority",
        "fee": "fee|transaction fee|tx fee|gas fee|fees paid|fee paid|gas cost|transaction cost|cost|"
        "network fee|fees spent",
        "burnt": "through base fee|via base fee|by base fee|through base fees|burnt|burned|burnt fee|"
        "base fee burned|base fee burnt|burned fee|burn|fees burned|"
        "burnt base fee|burned base fee|fees burnt|base fees burnt|base fees burned",
        "ether": "eth|ether|eth value|ether value|value in eth|eth amount|native value|native currency|"
        "amount of eth|amount of ether|eth volume|ether volume|volume of eth|volume of ether|"
        "native eth|native ether|wei",
        "value": "value|transferred value|transaction value",
        "amount": "amount|volume|quantity|token amount",
        "nonce": "nonce",
        "index": "index|position",
        "log_index": "log index|log position",
        "transaction_index": "transaction index|tx index",
        "type": "type|transaction type|tx type|envelope type",
        "status": "status|receipt status|outcome|result|execution status",
        "selector": "selector|method|function|method selector|function selector|4 byte selector|"
        "method id|called function|called method|four byte selector",
        "input": "input|input data|call data|calldata|data|payload|input size|calldata size|"
        "size of input|size of input data|size of call data|call data size|data payload|input length|"
        "calldata length|data field|input field|input data size|size of calldata",
        "sender": "sender|sending address|from address|sending account|payer|originator|sender address",
        "receiver": "receiver|recipient|destination|receiving address|to address|beneficiary|"
        "recipient address|destination address|target",
        "token": "token|token contract|coin|asset|token address|collection",
        "contract": "contract|emitter|emitting contract|contract address|pool|pair|emitting address|"
        "smart contract",
        "created": "created contract|new contract|deployed contract|"
        "newly created contract|newly deployed contract",
        "owner": "owner|approver|approving address|token owner",
        "spender": "spender|approved spender|approved address",
        "event": "event type|event name|kind of event|type of event|event kind|event signature",
        "standard": "token standard|standard|protocol",
        "topic": "first topic|topic0|event topic|topic hash",
        "topics": "topic|number of topics|topic count",
        "token_id": "token id|token number",
        "miner": "miner|fee recipient|coinbase|proposer|builder|block producer|block builder|beneficiary of "
        "block|block proposer|validator",
        "block_hash": "block hash|hash of block",
        "hash": "hash|transaction hash|tx hash|txhash",
        "parent_hash": "parent hash|hash of parent|parent|hash of parent block|parent block hash",
        "logs": "log count",
        "transfers": "token transfer count",
        "transaction_count": "transaction count",
        "size": "size|block size|size in bytes|byte|byte size",
        "time": "time|timestamp|date|block time|time stamp",
        "seconds": "seconds|how long|time difference|elapsed time",
        "fullness": "fullness|utilisation|utilization|gas utilisation|gas utilization|full|"
        "share of gas limit used|percentage of gas limit used",
        "address": "address|account|wallet|eoa|externally owned account",
        "transaction": "transaction hash of",
    },
    "adjective": {
        "failed": "failed|fail|failing|failure|reverted|revert|unsuccessful|unsuccessfully|reverting|"
        "went wrong|were unsuccessful|status failed|failed status|broke",
        "succeeded": "succeeded|succeed|successful|successfully|success|succeeding|went through|go through|"
        "status successful|executed successfully|completed successfully|worked",
        "legacy": "legacy|legacy type|pre eip 1559|pre 1559",
        "access_list": "access list|eip 2930|access list type",
        "dynamic": "eip 1559|dynamic fee|1559 type|1559 style",
        "blob": "blob|eip 4844|blob carrying",
        "creation": "contract creation|contract creating|create a contract|created a contract|"
        "creating a contract|deploy a contract|deployed a contract|contract deployment|created contracts|"
        "deployed contracts|create contracts|creates a contract|deployment|deploying a contract|"
        "create a new contract|created a new contract|contract creation transaction|"
        "contract deployment transaction",
        "plain": "plain eth transfer|simple eth transfer|plain ether transfer|pure eth transfer|"
        "pure ether transfer|simple ether transfer|plain value transfer|plain eth transaction|"
        "simple value transfer|only sent eth|just sent eth|plain eth send|native eth transfer",
        "self": "to themselves|to itself|to self|to the same address|self transfer|to oneself|"
        "back to the sender|self transaction|to their own address",
        "unlimited": "2 ^ 256 1|unlimited 2 ^ 256 1|2 * * 256 1|unlimited|infinite|maximal|max uint256|"
        "maximum uint256|uint256 max",
        "revoked": "revoked|revoking|revocation|reset to zero",
        "minted": "minted|mint|minting|newly minted",
        "burned_tokens": "burned token|burnt token|token burn",
        "nft": "nft|erc 721|erc721|non fungible|non fungible token|nft token|erc 721 token|erc721 token",
        "fungible": "erc 20|erc20|fungible|erc 20 token|erc20 token|fungible token",
        "erc1155": "erc 1155|erc1155",
        "undecoded": "undecoded|anonymous|unknown event|unrecognised|unrecognized",
        "decoded": "decoded",
    },
    "aggregate": {
        "sum": "total|sum|altogether|overall|combined|aggregate|cumulative|in total|in all|sum up|summed|"
        "total number|added up|total of|all together|totals|grand total|add up to|adds up to|"
        "add up|taken together",
        "mean": "unweighted|average|mean|on average|arithmetic mean|avg",
        "median": "median",
    },
    "superlative": {
        "most": "most|highest|largest|biggest|greatest|maximum|max|top|maximal|longest|heaviest|peak|"
        "the most|at most highest",
        "least": "least|lowest|smallest|minimum|min|fewest|tiniest|shortest|lightest",
        "expensive": "most expensive|priciest|costliest",
        "cheap": "cheapest|least expensive",
        "often": "most often|most frequently|most active|most used|most common|most frequent|most popular|"
        "most frequently used|busiest|most commonly used|most called|most transferred|most times|"
        "most frequently called|most frequently emitted|most emitted|highest number of times|"
        "most frequently transferred|most common occurring",
        "rarely": "least often|least frequently|least active|least common|least used|least frequent|rarest",
    },
    "compare": {
        ">": "more than|greater than|larger than|higher than|over|above|exceeding|exceed|exceeded|"
        "bigger than|"
        "in excess of|upwards of|beyond|exceeds|surpassing|longer than|>|strictly more than|greater|"
        "strictly greater than|strictly above",
        ">=": "at least|no less than|not less than|no fewer than|minimum of|or more|or higher|or greater|"
        "or above|or larger|or longer|>=|≥|a minimum of|"
        "greater than or equal to|not below|no lower than|=>|not under",
        "<": "less than|fewer than|lower than|smaller than|under|below|<|shorter than|cheaper than|"
        "strictly less than|short of|strictly below",
        "<=": "at most|no more than|up to|not more than|maximum of|not over|not above|<=|≤|not exceeding|"
        "a maximum of|less than or equal to|no greater than|no higher than|=<|or less|or fewer|or lower|"
        "or below|or smaller",
        "=": "exactly|equal to|equals|=|precisely|equal|==|exact",
    },
    "range": {"": "between|ranging from|in the range|from between|within the range"},
    "negation": {
        "not": "not|none|never|non|nor|unlike|rather than|instead of|isn't",
        "except": "ignoring|ignore|leaving aside|except|excluding|except for|other than|apart from|besides|"
        "but not|aside from|exclude|"
        "not counting|leaving out|save for|without counting|different from|disregarding|not including|minus",
        "no": "no|without|without any|lack|lacking|did not have any|with no|not any|had no|having no|"
        "not have any|without a|absent|missing|do not have|not carry any|not contain any|devoid of",
        "neither": "neither",
    },
    "number": {
        "0": "zero|empty",
        "1": "one|once",
        "2": "two|twice",
        "3": "three",
        "4": "four",
        "5": "five",
        "6": "six",
        "7": "seven",
        "8": "eight",
        "9": "nine",
        "10": "ten",
    },
    "and": {"": "and|as well as|plus|along with|&|but"},
    "or": {"": "or"},
    "either": {"": "either"},
    "quantity": {
        "many": "how many|number of|count|count of|amount of times|how often|how many times|num|no of|nr of|"
        "tally|the number of|total number of|total count of|overall number of|combined number of|"
        "number|counting|quantity of",
        "much": "how much|what amount of|how much in total|how much total|how much altogether",
    },
    "which": {
        "which": "which|what|list|show|give|name|find|tell|state|identify|report|return|which one|get|decode",
        "who": "who|whom|whose address",
        "when": "when|at what time|what time",
        "where": "where|where in the block",
        "full": "how full",
        "big": "how big|how large",
    },
    "share": {
        "": "share|percentage|percent|per cent|fraction|proportion|what part|pct|share of|percentage of|"
        "fraction of|proportion of|portion|portion of|percent of|per cent of|part of"
    },
    "each": {
        "": "per|for each|by each|each|for every|grouped by|broken down by|every|group by|in each|"
        "of each|split by|by individual|in every"
    },
    "distinct": {"": "distinct|different|unique|separate|individual"},
    "difference": {
        "difference": "difference|by how much|how far|compare|compared|versus|vs|differ|change|changed|"
        "how many more|how many fewer|how much more|"
        "how much less|how much higher|how much lower|grow|grew|rise|rose|fall|fell|drop|dropped|increase|"
        "increased|decrease|decreased|how much larger|how much smaller|delta|gap|difference in|"
        "difference of|risen|fallen|how much bigger|growth|passed|elapsed|went up|went down|go up|go down|"
        "apart|how far apart|how much fuller|how much did|elapse|pass",
        "ratio": "ratio|times as many|times as much|how many times|factor|ratio of|how many times as many|"
        "how many times more|how many times larger|times more|by what factor|how many times higher",
        "which": "more|higher|larger|bigger|greater|fewer|less|lower|smaller|fuller|emptier|busier",
    },
    "ordinal": {
        "1": "first|1st|earliest|opening",
        "2": "second|2nd|second most",
        "3": "third|3rd",
        "4": "fourth|4th",
        "5": "fifth|5th",
        "6": "sixth|6th",
        "7": "seventh|7th",
        "8": "eighth|8th",
        "9": "ninth|9th",
        "10": "tenth|10th",
        "-1": "last|latest|final|closing|very last",
        "-2": "last but one|second to last|penultimate|second last|next to last",
        "-3": "third to last|last but two|third last",
    },
    "only": {
        "only": "only|exclusively|solely",
        "both": "in common|common to|shared by|overlap|overlapping|also",
    },
    "verb": {
        "send": "sent out|send out|sent|send|sends|sending|made|make|makes|submitted|initiated|issued|"
        "originate|originated|"
        "gave|give out|spent|spend|do|signed",
        "receive": "took in|take in|received|receive|receives|receiving|got|gets|obtained|collected|"
        "took in|accept",
        "pay": "paid|pay|pays|paying",
        "use": "burn through|burned through|fill|filled|take|took|took up|eat up|used|use|uses|using|"
        "consumed|consume|consumes|burning|spent on",
        "emit": "emitted|emit|emits|emitting|logged|triggered|generated|raised|fired|trigger",
        "call": "called|call|calls|calling|invoked|invoke|invoking|invokes|interact with|interacted with",
        "move": "transferred|moved|moving|transferring|move|flowed|changed hands|flow",
        "carry": "worth|carried|carry|carries|carrying|attached|contained value|transport",
        "mine": "mined|produced|produce|built|proposed|mine|build|propose|validate|validated",
        "approve": "given|approved|approve|approving|granted|given approval|grant",
        "set": "set|sets|setting|specified|specify|offered|offer|bid|declare|allowed",
        "contain": "contain|contains|containing|include|includes|included|including|hold|holds|"
        "consist of|comprise|held|contained",
        "happen": "remain|remained|turn up|turned up|shows up|show up|fit|fits|left|happen|happened|occur|"
        "occurred|took place|take place|appear|appeared|were there|exist|"
        "appears|occurs|recorded|found|seen|show up|executed|processed|present|confirmed|there be|done|"
        "belong|lie|sit|sits|landed|land|come|came|stood|stand|active|involved|involve|involving|"
        "run|ran|were in|in existence|account for|accounted for|make up|made up|rank|ranked|"
        "placed|average out",
        "create": "deploy to|created|create|deployed|deploy|creates|deploys",
        "wrap": "wrapped|wrap",
        "unwrap": "unwrapped|unwrap",
    },
    "from": {
        "": "from|sent by|sent from|made by|paid by|out of|sent out by|transferred by|issued by|"
        "initiated by|originating from|coming from|leaving|spent by|moved by|given by"
    },
    "to": {
        "": "to|go to|went to|goes to|go into|went into|into|received by|sent to|going to|toward|towards|"
        "addressed to|directed to|"
        "directed at|transferred to|calling|calls to|entering|delivered to"
    },
    "by": {"": "by|of type_"},
    "with": {"": "with|having|carrying a|that have|that has|with a|with an|with some|that had|has|have|had"},
    "net": {
        "": "net|net flow|net gain|net change|net inflow|net outflow|net amount|net loss|net transfer|"
        "gain|gained|lost|net balance change|net flow of|net position change|received minus sent|profit"
    },
    "swap": {"": "swapped|swap|trade|traded|exchange|exchanged|exchange rate|rate"},
    "per_gas": {"": "per gas|per unit of gas"},
    "raw": {"": "raw|raw unit|in raw units|base unit|smallest unit|raw units"},
    "unit": {"ether": "in eth|in ether", "gwei": "gwei|in gwei", "wei": "in wei", "percent": "in percent|%"},
    "pronoun": {
        "": "most of them|it|its|they|them|their|of them|of these|of those|these|those|he|that transaction|"
        "this transaction|that block|this block|the same|same"
    },
}


@cache
def entries() -> Mapping[tuple[str, ...], tuple[Entry, ...]]:
    """The entries of each phrase, as its words."""
    found: dict[tuple[str, ...], list[Entry]] = {}
    for kind, values in [*_ENTRIES.items(), ("beyond", BEYOND)]:
        for value, phrases in values.items():
            for phrase in phrases.split("|"):
                for words in _forms(phrase, kind):
                    one = Entry(kind, value)
                    if one not in found.setdefault(words, []):
                        found[words].append(one)
    for phrase in IDLE.split("|"):
        found.setdefault(tuple(phrase.split()), []).append(Entry("function", phrase))
    for word in FUNCTION:
        found.setdefault((word,), []).append(Entry("function", word))
    return {words: tuple(some) for words, some in found.items()}


def _forms(phrase: str, kind: str) -> list[tuple[str, ...]]:
    words = tuple(phrase.split())
    if kind not in ("subject", "column", "adjective"):
        return [words]
    if words[-1].endswith("s"):
        return [words, (*words[:-1], f"{words[-1]}es")]
    plural = (
        f"{words[-1][:-1]}ies" if words[-1].endswith("y") and words[-1][-2] not in "aeo" else f"{words[-1]}s"
    )
    return [words, (*words[:-1], plural)]
