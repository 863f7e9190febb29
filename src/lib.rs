//! What JavaScript sees: the class `LlamaWorker`, and the message contract.
//!
//! The only code that names `napi`. Each method converts, sends to the engine thread and returns; no work is done and nothing is waited
//! for on JavaScript's thread.

mod answer;
mod contract;
mod download;
mod error;
mod options;
mod port;
mod stream;
mod turn;
mod turns;
mod worker;
