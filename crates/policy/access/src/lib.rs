//! Decides, purely, whether a role may use a permission.
