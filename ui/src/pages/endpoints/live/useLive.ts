// Reads an endpoint's counters every few seconds while somebody looks, and keeps the last minutes of them.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { endpoints, type EndpointStats } from "../../../api/endpoints";
import { POLL_MS, withSample, type Sample } from "./stats";

export interface Live {
  samples: Sample[];
  /** The newest; undefined until the first one is there. */
  stats: EndpointStats | undefined;
  error: unknown;
  retry: () => void;
  paused: boolean;
  setPaused: (paused: boolean) => void;
}

export function useLive(name: string): Live {
  const [paused, setPaused] = useState(false);
  const [samples, setSamples] = useState<Sample[]>([]);
  const { data, dataUpdatedAt, error, refetch } = useQuery({
    queryKey: ["endpoint-stats", name],
    queryFn: ({ signal }) => endpoints.stats(name, signal),
    enabled: !paused,
    // Not while the window is hidden: that is the client's default.
    refetchInterval: POLL_MS,
    // A reading that an earlier visit left would draw a line over the time between.
    gcTime: 0,
  });
  useEffect(() => {
    if (data) setSamples((before) => withSample(before, { at: dataUpdatedAt, stats: data }));
  }, [data, dataUpdatedAt]);
  return { samples, stats: data ?? samples[samples.length - 1]?.stats, error, retry: () => void refetch(), paused, setPaused };
}
