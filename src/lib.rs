//! warmset
