/** The words in the user's language, for the parts that surfaces share. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import { createContext, useContext } from 'react';

export const WordsContext = createContext<TranslationBundle>(nullTranslator.load(''));

export function useWords(): TranslationBundle {
  return useContext(WordsContext);
}
