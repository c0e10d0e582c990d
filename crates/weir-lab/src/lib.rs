//! Load: the sender, the stamps it puts on events, and the accounts made from them
