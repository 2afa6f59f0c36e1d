"""Where pictures come from: folders of files."""
