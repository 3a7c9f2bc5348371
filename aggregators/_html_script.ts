/** The script of an HTML report's page. */
import { BASE } from "./_html_script_base.ts";
import { DETAIL } from "./_html_script_detail.ts";
import { LOG } from "./_html_script_log.ts";
import { MAIN } from "./_html_script_main.ts";
import { ROWS } from "./_html_script_rows.ts";
import { TABLE } from "./_html_script_table.ts";
import { TIMELINE } from "./_html_script_timeline.ts";
import { TRACKS } from "./_html_script_tracks.ts";
import { VIEWER } from "./_html_script_viewer.ts";

/** All parts in order. It is a string, since packages cannot import text; the tests check its types. */
export const SCRIPT = `"use strict";\n${
  [BASE, ROWS, TABLE, LOG, VIEWER, DETAIL, TRACKS, TIMELINE, MAIN].join("")
}`;
