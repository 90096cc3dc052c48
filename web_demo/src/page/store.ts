/** Holds the state and tells of changes. */

import { type Action, INITIAL, reduce, type State } from './state';

export type Listener = (state: State, before: State) => void;

export interface Store {
  readonly state: State;
  send(action: Action): void;
  /** Listeners are called in the order in which they came, at once for the first time. */
  listen(listener: Listener): void;
}

export function createStore(initial: State = INITIAL): Store {
  let state = initial;
  const listeners: Listener[] = [];
  // An action of a listener waits until all have seen the change before it.
  const waiting: Action[] = [];
  let telling = false;
  return {
    get state() {
      return state;
    },
    send(action) {
      waiting.push(action);
      if (telling) return;
      telling = true;
      try {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const before = state;
          state = reduce(before, next);
          if (state !== before) for (const listener of listeners) listener(state, before);
        }
      } finally {
        telling = false;
      }
    },
    listen(listener) {
      listeners.push(listener);
      listener(state, initial);
    },
  };
}
