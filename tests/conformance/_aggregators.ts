/** Aggregators that the cases name. */
import {
  type Aggregator,
  DuplicateResultError,
} from "../../aggregators/aggregator.ts";
import {
  type Compression,
  JsonLinesAggregator,
} from "../../aggregators/jsonl.ts";
import { ChildFailedError } from "../../aggregators/multi.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { BadResultsError } from "../../executors/results.ts";

/** Options as the cases write them. */
export interface Options {
  allowDuplicate?: boolean;
  compressFiles?: boolean;
  suffix?: string;
  exclude?: string[];
  level?: number;
}

/** Makes one that puts its results and files in two places. */
export function create(
  kind: string,
  places: { results: string; files: string },
  { allowDuplicate = false, compressFiles, suffix, exclude, level }: Options =
    {},
): Aggregator {
  const compressed = (format: Compression["format"]) =>
    new JsonLinesAggregator({
      ...places,
      allowDuplicate,
      compression: {
        format,
        ...(compressFiles !== undefined && { files: compressFiles }),
        ...(suffix !== undefined && { suffix }),
        ...(exclude !== undefined && { exclude }),
        ...(level !== undefined && { level }),
      },
    });
  switch (kind) {
    case "jsonl":
      return new JsonLinesAggregator({ ...places, allowDuplicate });
    case "jsonl-gzip":
      return compressed("gzip");
    case "jsonl-xz":
      return compressed("xz");
    case "jsonl-zstd":
      return compressed("zstd");
    case "yaml":
      return new YamlAggregator({ ...places, allowDuplicate });
    case "failing":
      return new Failing();
    default:
      throw new Error(`no aggregator "${kind}"`);
  }
}

/** Its ingest always rejects. */
class Failing implements Aggregator {
  start() {
    return Promise.resolve(this);
  }
  ingest() {
    return Promise.reject(new Error("it fails"));
  }
  stop() {
    return Promise.resolve();
  }
  [Symbol.asyncDispose]() {
    return this.stop();
  }
}

/** The kind of an error, as the cases name it. */
export function kindOf(error: unknown): string {
  if (error instanceof DuplicateResultError) return "DuplicateResult";
  if (error instanceof BadResultsError) return "BadResults";
  if (error instanceof ChildFailedError) return "ChildFailed";
  if (error instanceof Deno.errors.AlreadyExists) return "AlreadyExists";
  if (error instanceof Deno.errors.NotFound) return "NotFound";
  if (error instanceof TypeError) return "TypeError";
  return String(error);
}
