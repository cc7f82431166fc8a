//! Platform: http.
