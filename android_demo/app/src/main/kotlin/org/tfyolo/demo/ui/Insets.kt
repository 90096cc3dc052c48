package org.tfyolo.demo.ui

import android.os.Build
import android.view.View
import android.view.Window
import android.view.WindowInsets

/** Edge-to-edge layout: the image extends under the system bars, controls do not. */
object Insets {
    /** @param apply is called with the left, top, right and bottom insets (system bars and display cutouts) in pixels. */
    fun edgeToEdge(window: Window, root: View, apply: (Int, Int, Int, Int) -> Unit) {
        // Since Android 15 edge-to-edge is the default.
        @Suppress("DEPRECATION")
        if (Build.VERSION.SDK_INT in Build.VERSION_CODES.R..Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            window.setDecorFitsSystemWindows(false)
        } else if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) {
            root.systemUiVisibility = root.systemUiVisibility or View.SYSTEM_UI_FLAG_LAYOUT_STABLE or
                View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
        }
        root.setOnApplyWindowInsetsListener { _, insets ->
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                val bars = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
                apply(bars.left, bars.top, bars.right, bars.bottom)
            } else {
                @Suppress("DEPRECATION")
                apply(insets.systemWindowInsetLeft, insets.systemWindowInsetTop, insets.systemWindowInsetRight, insets.systemWindowInsetBottom)
            }
            insets
        }
    }
}
