/** Holds the state and notifies listeners of changes. */

import { type Action, INITIAL, reduce, type State } from './state';

export type Listener = (state: State, before: State) => void;

export interface Store {
  readonly state: State;
  send(action: Action): void;
  /** Add a listener; it is called immediately, then after every change, in the order of registration. */
  listen(listener: Listener): void;
}

export function createStore(initial: State = INITIAL): Store {
  let state = initial;
  const listeners: Listener[] = [];
  // Actions that listeners send are queued until all listeners have seen the current change.
  const queue: Action[] = [];
  let notifying = false;
  return {
    get state() {
      return state;
    },
    send(action) {
      queue.push(action);
      if (notifying) return;
      notifying = true;
      try {
        for (let next = queue.shift(); next; next = queue.shift()) {
          const before = state;
          state = reduce(before, next);
          if (state !== before) for (const listener of listeners) listener(state, before);
        }
      } finally {
        notifying = false;
      }
    },
    listen(listener) {
      listeners.push(listener);
      listener(state, initial);
    },
  };
}
