//! Uploads the code and data that a project file names, then submits it.
