"""Importing: tariffs that others wrote become tariff documents of ours.

Pure: bytes in, plain values out. Whatever a foreign tariff says is in its document, or in a note that names it, or it
keeps the tariff from being imported: nothing is dropped silently. Read in this order: reading.py; urdb.py, made of
schedule.py and urdb_structure.py; ocpi.py and cdr.py; cgrates.py, made of cgrates_files.py and week.py; yaml_text.py.
Whoever asks for documents checks them as tariffs.
"""
