// A picture from bytes that this page fetched. Its type comes from a fixed list: never one that holds scripts.
import { useEffect, useState } from "react";
import { visible } from "../lib/names";
import { Empty } from "./Notice";

export function Picture({ content, type, name }: { content: ArrayBuffer; type: string; name: string }) {
  const address = useObjectAddress(content, type);
  const [size, setSize] = useState<string | undefined>(undefined);
  const [broken, setBroken] = useState(false);
  if (broken) return <Empty title="This is no picture that the browser can show">Its name says {type}, its bytes do not.</Empty>;
  return (
    <figure className="picture">
      {address && (
        <img
          src={address}
          alt={visible(name)}
          onLoad={({ currentTarget }) => setSize(`${currentTarget.naturalWidth} × ${currentTarget.naturalHeight} pixels`)}
          onError={() => setBroken(true)}
        />
      )}
      <figcaption className="faint number">{size ?? "\u00a0"}</figcaption>
    </figure>
  );
}

/** An address within this page for bytes of it, taken back when they are not shown any more. */
function useObjectAddress(content: ArrayBuffer, type: string): string | undefined {
  const [address, setAddress] = useState<string | undefined>(undefined);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([content], { type }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [content, type]);
  return address;
}
