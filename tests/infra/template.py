"""infra/template.yaml as CloudFormation would resolve its conditions for given parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
NOTHING = {"Ref": "AWS::NoValue"}


class Template:
    """The template's resources, with these parameters. References to what the stack makes stay as they are."""

    def __init__(self, **parameters: str) -> None:
        self._document = yaml_parse((ROOT / "infra/template.yaml").read_text())
        self._given = {name: parameters.get(name, one.get("Default", name))
                       for name, one in self._document["Parameters"].items()}
        made = {name: one for name, one in self._document["Resources"].items() if self._holds(one)}
        self.resources: dict[str, dict] = self._resolved(made)
        self.functions: dict = self._resolved(self._document["Globals"]["Function"])

    def of(self, kind: str) -> dict[str, dict]:
        """The properties of each resource of this type."""
        return {name: one["Properties"] for name, one in self.resources.items() if one["Type"] == kind}

    def _holds(self, resource: dict) -> bool:
        return "Condition" not in resource or self._is(resource["Condition"])

    def _is(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._is(self._document["Conditions"][condition])
        [(function, operands)] = condition.items()
        match function:
            case "Condition":
                return self._is(operands)
            case "Fn::Equals":
                one, other = map(self._resolved, operands)
                return str(one) == str(other)
            case "Fn::Not":
                return not self._is(operands[0])
            case "Fn::And":
                return all(map(self._is, operands))
        raise ValueError(function)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(self._resolved, value) if one != NOTHING]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return self._given.get(value["Ref"], value)
        if set(value) == {"Fn::Join"}:
            between, parts = value["Fn::Join"]
            parts = self._resolved(parts)
            return parts if isinstance(parts, str) else between.join(map(str, parts))
        if set(value) == {"Fn::If"}:
            condition, then, otherwise = value["Fn::If"]
            return self._resolved(then if self._is(condition) else otherwise)
        resolved = {name: self._resolved(one) for name, one in value.items()}
        return {name: one for name, one in resolved.items() if one != NOTHING}
