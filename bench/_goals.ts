/** What benchmarks are to reach. */

/** A measured value, what it is compared with, and what it is to be. */
export interface Goal {
  /** What was measured: `CPU of a test`. */
  what: string;
  value: number;
  unit: string;
  /** What it is compared with, measured in the same run. */
  floor: number;
  /** What that is: `S CPU`. */
  floor_is: string;
  /** `value / floor`, or what they differ by. */
  ratio: number;
  goal: string;
  met: boolean;
}

type Measured = Pick<Goal, "what" | "value" | "unit">;
type Floor = Pick<Goal, "floor" | "floor_is">;

/** The value is to be at most so many times the floor. */
export function atMost(limit: number, goal: Measured & Floor): Goal {
  const ratio = goal.value / goal.floor;
  return {
    ...goal,
    ratio,
    goal: `≤ ${limit} × ${goal.floor_is}`,
    met: ratio <= limit,
  };
}

/** The value is to be at most so much more than the floor. */
export function withinOf(limit: number, goal: Measured & Floor): Goal {
  const ratio = goal.value - goal.floor;
  return {
    ...goal,
    ratio,
    goal: `≤ ${goal.floor_is} + ${limit} ${goal.unit}`,
    met: ratio <= limit,
  };
}

/** The value is to be at most this, whatever the machine. */
export function limited(limit: number, goal: Measured): Goal {
  return {
    ...goal,
    floor: 0,
    floor_is: "",
    ratio: goal.value,
    goal: `≤ ${limit} ${goal.unit}`.trimEnd(),
    met: goal.value <= limit,
  };
}

/** The value is to be at least this, whatever the machine. */
export function reached(limit: number, goal: Measured): Goal {
  const { goal: text, ...rest } = limited(limit, goal);
  return { ...rest, goal: text.replace("≤", "≥"), met: goal.value >= limit };
}
