import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { models, type Model } from "../../api/models";
import { Confirm } from "../../components/Confirm";
import { Panel } from "../../components/Panel";

const VALID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Sets or moves an alias. Endpoints that follow it roll to the new version, so it asks first. */
export function AliasEditor({ model, versions }: { model: Model; versions: number[] }) {
  const client = useQueryClient();
  const [alias, setAlias] = useState("");
  const [version, setVersion] = useState<number | undefined>(undefined);
  const target = version ?? versions[0];
  const now = model.aliases[alias];
  const named = alias !== "";
  const valid = VALID.test(alias);
  const changed = async (change: Promise<unknown>): Promise<void> => {
    await change;
    await client.invalidateQueries({ queryKey: ["model", model.name] });
  };
  return (
    <Panel title="Aliases">
      <div className="toolbar">
        <label>Alias
          <input list="aliases" placeholder="e.g. champion" value={alias} spellCheck={false} aria-invalid={named && !valid} onChange={(event) => setAlias(event.target.value.trim())} />
          <datalist id="aliases">{Object.keys(model.aliases).map((one) => <option key={one} value={one} />)}</datalist>
        </label>
        <label>Version
          <select value={target} onChange={(event) => setVersion(Number(event.target.value))}>
            {versions.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        {target !== undefined && (
          <Confirm
            label={now === undefined ? "Set alias" : "Move alias"}
            title={now === undefined ? `Point ${alias} to version ${target}?` : `Move ${alias} from version ${now} to ${target}?`}
            confirm={now === undefined ? "Set it" : "Move it"}
            disabled={!valid || now === target}
            action={() => changed(models.setAlias(model.name, alias, target))}
          >
            <p>Endpoints that serve <code>{model.name}@{alias}</code> roll to version {target}, replica by replica, without dropping requests.</p>
          </Confirm>
        )}
        {now !== undefined && (
          <Confirm label="Remove alias" title={`Remove ${alias}?`} confirm="Remove it" danger action={() => changed(models.removeAlias(model.name, alias))}>
            <p>Endpoints that follow <code>{model.name}@{alias}</code> keep serving the version they have, and new deployments of it are refused.</p>
          </Confirm>
        )}
        {named && !valid && <span className="tone-bad">Letters, digits, dots, dashes and underscores, at most 63.</span>}
        {valid && now === target && <span className="faint">It points there already.</span>}
      </div>
    </Panel>
  );
}
