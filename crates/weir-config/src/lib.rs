//! The configuration model: TOML with positions, option tables, every error at once
