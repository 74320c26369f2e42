DROP TABLE stored_file_parts;
DROP TABLE stored_files;
