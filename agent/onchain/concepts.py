"""What words may mean: columns by subject, words that change nothing, and what the tables do not say."""

from __future__ import annotations

from collections.abc import Mapping

from agent.onchain.columns import SubjectName

ZERO_ADDRESS = "0x" + "0" * 40

UNLIMITED = str(2**256 - 1)

CONCEPTS: Mapping[str, Mapping[SubjectName, str]] = {
    "gas_used": {"transactions": "gas_used", "blocks": "gas_used"},
    "gas_limit": {"transactions": "gas_limit", "blocks": "gas_limit"},
    "gas_price": {"transactions": "effective_gas_price"},
    "offered_price": {"transactions": "gas_price"},
    "base_fee": {"blocks": "base_fee_per_gas", "transactions": "base_fee_per_gas"},
    "tip": {"transactions": "tip", "blocks": "tips"},
    "tip_per_gas": {"transactions": "tip_per_gas"},
    "max_fee": {"transactions": "max_fee_per_gas"},
    "max_tip": {"transactions": "max_priority_fee_per_gas"},
    "fee": {"transactions": "fee", "blocks": "fees"},
    "burnt": {"transactions": "burnt", "blocks": "burnt"},
    "ether": {"transactions": "value", "blocks": "sent"},
    "value": {"transactions": "value", "transfers": "value", "logs": "value"},
    "amount": {"transfers": "value", "logs": "value", "transactions": "value"},
    "nonce": {"transactions": "nonce"},
    "index": {"transactions": "transaction_index", "logs": "log_index", "transfers": "log_index"},
    "log_index": {"logs": "log_index", "transfers": "log_index"},
    "transaction_index": {"transactions": "transaction_index", "logs": "transaction_index"},
    "type": {"transactions": "transaction_type"},
    "status": {"transactions": "status"},
    "selector": {"transactions": "selector"},
    "input": {"transactions": "input_size"},
    "sender": {"transactions": "from_address", "transfers": "from_address"},
    "receiver": {"transactions": "to_address", "transfers": "to_address"},
    "token": {"transfers": "token_address", "logs": "address"},
    "contract": {"logs": "address", "transactions": "to_address", "transfers": "token_address"},
    "created": {"transactions": "contract_address"},
    "owner": {"logs": "owner"},
    "spender": {"logs": "spender"},
    "event": {"logs": "event"},
    "standard": {"logs": "declared_in"},
    "topic": {"logs": "topic0"},
    "token_id": {"transfers": "token_id", "logs": "token_id"},
    "miner": {"blocks": "miner"},
    "block": {
        "transactions": "block_number",
        "logs": "block_number",
        "transfers": "block_number",
        "blocks": "block_number",
    },
    "transaction": {
        "logs": "transaction_hash",
        "transfers": "transaction_hash",
        "transactions": "transaction_hash",
    },
    "block_hash": {"blocks": "block_hash", "transactions": "block_hash"},
    "hash": {"blocks": "block_hash", "transactions": "transaction_hash"},
    "parent_hash": {"blocks": "parent_hash"},
    "size": {"blocks": "size", "transfers": "value"},
    "topics": {"logs": "topics"},
    "time": {"blocks": "block_timestamp", "transactions": "block_timestamp"},
    "fullness": {"blocks": "fullness"},
    "seconds": {"blocks": "seconds"},
    "logs": {"transactions": "logs", "blocks": "logs"},
    "transfers": {"transactions": "transfers", "blocks": "transfers"},
    "transaction_count": {"blocks": "transaction_count"},
    "address": {},
}
"""What a word may mean, as a column of each subject; an address needs a verb that says which it is."""

FUNCTION = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "on",
        "at",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "do",
        "does",
        "did",
        "there",
        "that",
        "this",
        "for",
        "as",
        "than",
        "then",
        "i",
        "me",
        "we",
        "us",
        "you",
        "please",
        "all",
        "any",
        "some",
        "during",
        "inside",
        "within",
        "on",
        "chain",
        "ethereum",
        "mainnet",
        "exact",
        "actually",
        "respectively",
        "whose",
        "?",
        ",",
        ".",
        ":",
        ";",
        "!",
        "(",
        ")",
        '"',
        "'",
        "/",
        "-",
        "–",
        "—",
        "#",
        "among",
        "amongst",
        "single",
        "ones",
        "via",
        "our",
        "my",
        "library",
        "here",
        "stored",
        "figure",
        "figures",
        "data",
        "both",
        "own",
        "s",
    ]
)
"""Words that cannot change what is true of a row, wherever they stand."""

IDLE = (
    "at all|failed ones included|including failed ones|failed included|including failed|"
    "whether or not they failed"
    "|regardless of status|both failed and successful|both ends included|inclusive|each way|in and out|"
    "over all|over the"
    "|i need to know|i want to know|tell me|can you tell me|could you tell me|do you know|let me know|behind"
    "|as a whole|by itself|in question|of course|thanks|thank you|if so|out of how many|meaning|namely|i e"
    "|that is|"
    "so to speak"
)
"""Phrases that cannot either."""

BEYOND: Mapping[str, str] = {
    "balances and holdings": "balance|balances|holdings|rich|richest|wealth|owns|holder|holders|net worth",
    "supply": "supply|total supply|circulating|circulating supply|market cap|tvl|total value locked|"
    "liquidity|"
    "reserves|capitalization|marketcap",
    "prices in a currency": "usd|dollar|dollars|us dollar|us dollars|euro|euros|eur|price of eth|eth price|"
    "price of ether|fiat|worth in|market price|$",
    "who is behind an address": "who owns|owned by|owner of the address|identity|person|company|real name|"
    "bot|bots|mev|searcher|searchers|sandwich|arbitrage|front running|exchange wallet|whale|whales|hacker|"
    "scam|scams|human|humans|institution|country|germany|ens name",
    "other chains": "arbitrum|optimism|polygon|base chain|bitcoin|solana|bsc|binance smart chain|avalanche|"
    "goerli|sepolia|testnet|layer 2|l2|rollup|gnosis|zksync|dogecoin|litecoin",
    "the mempool": "mempool|pending|unconfirmed|queued|txpool|waiting",
    "reasons of failure": "why|reason|reasons|because|cause|caused|revert reason|error message|slippage|"
    "out of gas",
    "what is inside a transaction beyond its logs": "internal transaction|internal transactions|"
    "internal call|"
    "internal calls|trace|traces|storage slot|opcode|opcodes|opcodes executed|call depth|internal transfers|"
    "internal transfer|state change|state changes",
    "the future": "will|next block|tomorrow|predict|forecast|future|going to be|expected|estimate",
    "profits": "profit_|profitable|profitability|roi|return on|pnl",
    "consensus": "attestation|attestations|slot|epoch|validator index|withdrawals credited|"
    "staking rewards|uncle|uncles|difficulty|block reward|state root|receipts root|extra data|"
    "staking withdrawals|validator withdrawals|logs bloom",
    "the present, beyond the blocks held": "today|now|currently|at the moment|yesterday|this week|"
    "last week|right now",
    "statistics beyond sums, means and medians": "variance|standard deviation|volatility|percentile|quantile|"
    "correlation|histogram|distribution|gini|quartile|stddev|deviation|decile",
}
"""What the tables of blocks, transactions, logs and transfers do not say, by kind."""

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
