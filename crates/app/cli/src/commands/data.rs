//! `corliss data …`: list, show, add, get, lineage.
