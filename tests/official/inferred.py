"""Holds inferred schemas and the messages that each was inferred from, a line each, against JSON Schema 2020-12:
    inferred.py FILE LEAST_LINES
"""

import json
import sys

from jsonschema import Draft202012Validator

path, least = sys.argv[1], int(sys.argv[2])
lines = messages = 0
with open(path, encoding="utf-8") as file:
    for line in file:
        case = json.loads(line)
        Draft202012Validator.check_schema(case["schema"])
        validator = Draft202012Validator(case["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER)
        for value in case["values"]:
            validator.validate(value)
            messages += 1
        lines += 1
print(f"{lines} schemas, {messages} messages")
sys.exit(lines < least)
